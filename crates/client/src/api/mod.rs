//! What a server's API says: responses decoded to answers. No sockets, no clocks: everything here
//! works on bytes and stamps that have been taken already.

mod chat;
mod error_body;
mod marks;
mod reference;
mod retry_after;
mod tool_calls;
mod verdict;
mod wire;

pub use chat::{ChatDecoder, decode};
pub use error_body::error_message;
pub use reference::{ReferenceDecoded, ReferenceEnd, decode_reference};

use turnbench_model::{Answer, Outcome, Stamps, Usage};

/// A response, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// How the attempt ended.
    pub outcome: Outcome,
    /// What came back, also of an attempt that failed.
    pub answer: Answer,
    /// The last usage that the server reported.
    pub usage: Option<Usage>,
    /// All stamps.
    pub stamps: Stamps,
}
