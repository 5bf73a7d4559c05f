use turnbench_load::AttemptEnd;
use turnbench_model::{Answer, Compat, Failure, FailureKind, Message, Outcome, Usage};

use crate::RawResponse;

/// A response, read and judged.
pub(crate) struct Judged {
    pub(crate) answer: Answer,
    pub(crate) usage: Option<Usage>,
    pub(crate) outcome: Outcome,
    /// Compat mode: the reference meets this failure with an exception, not with a rejection.
    pub(crate) raised: bool,
}

impl Judged {
    /// What the driver is told.
    pub(crate) fn attempt_end(&self, compat: Compat) -> AttemptEnd<'_> {
        match (&self.outcome, compat) {
            (Outcome::Completed, _) => AttemptEnd::Completed,
            (Outcome::Failed(failure), Compat::None) => AttemptEnd::Failed(failure),
            (Outcome::Failed(failure), Compat::Vllm) if failure.kind == FailureKind::Cancelled => {
                AttemptEnd::Failed(failure)
            }
            (Outcome::Failed(_), Compat::Vllm) if self.raised => AttemptEnd::Raised,
            (Outcome::Failed(_), Compat::Vllm) => AttemptEnd::Rejected,
        }
    }

    /// Fails a complete answer that differs from the recorded one (`--verify-output`).
    pub(crate) fn verify(&mut self, recorded: Option<&Message>) {
        let Some(recorded) = recorded.filter(|_| self.outcome.is_completed()) else { return };
        let expected = recorded.content.text();
        if self.answer.content != expected {
            self.raised = true;
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
