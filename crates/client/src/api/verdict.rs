use turnbench_model::{Answer, Failure, FailureKind, Outcome, Usage};

use crate::api::error_body::{error_message, shorten};
use crate::api::retry_after::retry_after;
use crate::response::RawResponse;

/// What a 200 response itself said was wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    /// An error object, or a finish reason that means one: the server's words.
    pub(crate) error: Option<String>,
    /// What is not as the API promises.
    pub(crate) invalid: Option<String>,
}

/// How an attempt ended whose body is not even to be decoded: no head, or a status other than 200.
pub(crate) fn early_verdict(raw: &RawResponse) -> Option<Outcome> {
    let Some(head) = &raw.head else {
        let failure = raw.error.as_ref().map_or_else(
            || failed(FailureKind::Connect, None, "no response".to_owned()),
            |error| Outcome::Failed(error.failure(None)),
        );
        return Some(failure);
    };
    if head.status == 200 {
        return None;
    }
    let message = error_message(raw.body.bytes()).unwrap_or_else(|| {
        if head.reason.is_empty() { "empty response".to_owned() } else { head.reason.clone() }
    });
    Some(Outcome::Failed(Failure {
        kind: FailureKind::HttpStatus,
        status: Some(head.status),
        message,
        retry_after_ns: retry_after(head),
    }))
}

/// How an attempt ended that got status 200.
pub(crate) fn verdict(
    raw: &RawResponse,
    complaints: Complaints,
    answer: &Answer,
    usage: Option<&Usage>,
    streamed: bool,
) -> Outcome {
    if let Some(message) = complaints.error {
        return failed(FailureKind::StreamError, raw.status(), message);
    }
    // After [DONE] nothing of the answer can be missing, however the connection ended.
    if let (Some(error), false) = (&raw.error, answer.done) {
        return Outcome::Failed(error.failure(raw.status()));
    }
    if let Some(message) = complaints.invalid {
        return failed(FailureKind::Invalid, raw.status(), message);
    }
    if streamed && !answer.done && answer.finish_reason.is_none() {
        let message = "the stream ended before [DONE] and before a finish_reason".to_owned();
        return failed(FailureKind::Truncated, raw.status(), message);
    }
    let empty =
        answer.content.is_empty() && answer.reasoning.is_empty() && answer.tool_calls.is_empty();
    // An answer may consist of tokens that have no text, such as an immediate end of text: then
    // the server finished it and counted it.
    let counted = usage.is_some_and(|usage| usage.completion_tokens.is_some());
    if empty && !(counted && answer.finish_reason.is_some()) {
        return failed(FailureKind::Invalid, raw.status(), "an answer without output".to_owned());
    }
    Outcome::Completed
}

fn failed(kind: FailureKind, status: Option<u16>, message: String) -> Outcome {
    Outcome::Failed(Failure { kind, status, message: shorten(message), retry_after_ns: None })
}
