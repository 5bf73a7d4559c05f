use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Nanos;

/// How an attempt ended. A failure is data, never an `Err`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum Outcome {
    /// A complete answer: `[DONE]` or a finish reason was seen and the body ended properly.
    Completed,
    /// Anything else.
    Failed(Failure),
}

impl Outcome {
    /// Whether a complete answer came.
    pub fn is_completed(&self) -> bool {
        matches!(self, Self::Completed)
    }

    /// The failure, if it is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Completed => None,
            Self::Failed(failure) => Some(failure),
        }
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Its kind.
    pub kind: FailureKind,
    /// The HTTP status, where a response head was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// In words: the server's own message where it sent one, at most 1,000 bytes of it.
    pub message: String,
    /// How long the server asked to wait (`Retry-After`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ns: Option<Nanos>,
}

/// The kinds of failure that a user tells apart.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No connection, or the connection broke before a response head.
    Connect,
    /// The request's time limit passed.
    Timeout,
    /// A status other than 200.
    HttpStatus,
    /// An error object inside a 200 response.
    StreamError,
    /// The body ended, or the connection broke, before the answer was complete.
    Truncated,
    /// A response that is not what the API promises, or an answer without any output.
    Invalid,
    /// A complete answer that differs from the recorded one (`--verify-output`).
    Mismatch,
    /// Cut off by the end of the run or by Ctrl-C.
    Cancelled,
}

impl FailureKind {
    /// The name used in records and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::HttpStatus => "http_status",
            Self::StreamError => "stream_error",
            Self::Truncated => "truncated",
            Self::Invalid => "invalid",
            Self::Mismatch => "mismatch",
            Self::Cancelled => "cancelled",
        }
    }
}
