//! From the text of a prompt to its token ids, piece by piece: a conversation's history is tokenized
//! once, however often it is sent. No files, no sockets.

mod memo;
mod pieces;

pub use pieces::PieceTokenizer;
