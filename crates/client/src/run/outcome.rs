use turnbench_load::AttemptEnd;
use turnbench_model::{
    Answer, Compat, Failure, FailureKind, Message, Outcome, RequestPlan, ServerTimes, Stamps, Usage,
};

use crate::RawResponse;
use crate::api::{AnswerSpelling, ChatDecoder, ReferenceEnd, decode_reference};
use crate::http1::{Body, ResponseHead};
use crate::session::BodySink;

/// Reads one response, in turnbench's way or in the reference's.
pub(crate) enum Reader {
    Chat(Box<ChatDecoder>),
    Reference { stream: bool },
}

impl BodySink for Reader {
    fn take(&mut self, head: &ResponseHead, body: &mut Body) {
        match self {
            Self::Chat(decoder) => decoder.take(head, body),
            Self::Reference { .. } => {}
        }
    }
}

impl Reader {
    /// A reader for one response to a request formed by `plan`.
    pub(crate) fn new(plan: &RequestPlan) -> Self {
        match plan.compat {
            Compat::None => Self::Chat(Box::new(ChatDecoder::new(plan.stream))),
            Compat::Vllm => Self::Reference { stream: plan.stream },
        }
    }

    /// Decodes what came, and judges it.
    pub(crate) fn judge(self, response: &RawResponse) -> Judged {
        match self {
            Self::Chat(decoder) => {
                let decoded = decoder.finish(response);
                Judged {
                    outcome: decoded.outcome,
                    answer: decoded.answer,
                    spelling: decoded.spelling,
                    usage: decoded.usage,
                    server_times: decoded.server_times,
                    stamps: decoded.stamps,
                    reference_end: None,
                }
            }
            Self::Reference { stream } => {
                let decoded = decode_reference(response, stream);
                Judged {
                    outcome: decoded.outcome,
                    answer: decoded.answer,
                    spelling: AnswerSpelling::default(),
                    usage: None,
                    server_times: None,
                    stamps: decoded.stamps,
                    reference_end: Some(decoded.end),
                }
            }
        }
    }
}

/// A response, read and judged.
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    pub(crate) answer: Answer,
    pub(crate) spelling: AnswerSpelling,
    pub(crate) usage: Option<Usage>,
    pub(crate) server_times: Option<ServerTimes>,
    pub(crate) stamps: Stamps,
    /// Compat mode: how the reference takes it.
    reference_end: Option<ReferenceEnd>,
}

impl Judged {
    /// What the driver is told.
    pub(crate) fn attempt_end(&self) -> AttemptEnd<'_> {
        let failure = match &self.outcome {
            Outcome::Completed => return AttemptEnd::Completed,
            Outcome::Failed(failure) => failure,
        };
        let own = matches!(failure.kind, FailureKind::Cancelled | FailureKind::HttpStatus);
        match &self.reference_end {
            Some(ReferenceEnd::Rejected) if !own => AttemptEnd::Rejected,
            Some(_) if !own => AttemptEnd::Raised,
            _ => AttemptEnd::Failed(failure),
        }
    }

    /// Keeps secrets that the server repeats out of the record.
    pub(crate) fn hide(&mut self, secrets: &[String]) {
        if let Outcome::Failed(failure) = &mut self.outcome {
            for secret in secrets {
                failure.message = failure.message.replace(secret, "***");
            }
        }
    }

    /// Fails a complete answer that differs from the recorded one (`--verify-output`).
    pub(crate) fn verify(&mut self, recorded: Option<&Message>) {
        let Some(recorded) = recorded.filter(|_| self.outcome.is_completed()) else { return };
        let expected = recorded.content.text();
        if self.answer.content != expected {
            self.outcome = Outcome::Failed(Failure {
                kind: FailureKind::Mismatch,
                status: None,
                message: format!(
                    "the answer differs from the recorded one from byte {} on",
                    common_prefix(&self.answer.content, &expected)
                ),
                retry_after_ns: None,
            });
        }
    }
}

fn common_prefix(left: &str, right: &str) -> usize {
    left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count()
}
