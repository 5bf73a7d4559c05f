//! ShareGPT dumps: lists of `{"id", "conversations": [{"from", "value"}]}`, in which a long
//! conversation may be cut into several items, its parts.
//!
//! A dump has hundreds of megabytes, and the parts of a conversation may stand anywhere in it. So it
//! is read once for an [`Index`] of a few bytes an item, and each item again when its turn comes:
//! memory never holds the file, nor a parse tree of it. [`Dump`] converts as vLLM's
//! `convert_sharegpt_to_openai.py` does, byte for byte; the format's own reader, which knows more
//! layouts and loses less, stands with the other formats and uses the same index.

mod convert;
mod dump;
mod index;
mod json;
mod message;
mod store;
mod table;

pub use convert::{Converted, ReferenceRules};
pub use dump::{Dump, MergedDump};
pub(crate) use index::{Field, Index};
pub(crate) use store::Store;
pub use table::ConversationTable;
