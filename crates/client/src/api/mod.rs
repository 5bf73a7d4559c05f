//! What a server's API says: responses decoded to answers. No sockets, no clocks: everything here
//! works on bytes and stamps that have been taken already.

mod chat;
mod error_body;
mod json_text;
mod marks;
mod reference;
mod retry_after;
mod shape;
mod state;
mod tool_calls;
mod verdict;
mod wire;

pub use chat::{ChatDecoder, decode, decode_in_full};
pub use error_body::error_message;
pub use reference::{ReferenceDecoded, ReferenceEnd, decode_reference};

use turnbench_model::{Answer, Outcome, ServerTimes, Stamps, Usage};

/// A response, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// How the attempt ended.
    pub outcome: Outcome,
    /// What came back, also of an attempt that failed.
    pub answer: Answer,
    /// How the server spelled the answer's texts.
    pub spelling: AnswerSpelling,
    /// The last usage that the server reported.
    pub usage: Option<Usage>,
    /// The server's own times, where it reported any.
    pub server_times: Option<ServerTimes>,
    /// All stamps.
    pub stamps: Stamps,
}

impl Decoded {
    /// An attempt that brought nothing of an answer.
    pub(crate) fn failed(outcome: Outcome, stamps: Stamps) -> Self {
        Self {
            outcome,
            answer: Answer::default(),
            spelling: AnswerSpelling::default(),
            usage: None,
            server_times: None,
            stamps,
        }
    }
}

/// An answer's texts in the server's own JSON spelling, without the quotes.
///
/// `None` where a text encoded anew is spelled alike, since it has no escapes, and where the server's
/// spelling is not to be had: a list of parts, or half a surrogate pair.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AnswerSpelling {
    /// Of the content.
    pub content: Option<String>,
    /// Of the reasoning.
    pub reasoning: Option<String>,
    /// Of all tool calls: a whole JSON list, without blanks, whose texts are the server's.
    pub tool_calls: Option<String>,
}
