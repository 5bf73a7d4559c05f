use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::{Failure, FailureKind, Phase, RequestRecord};

use crate::{ConversationCounts, RequestRow, RunFacts};

/// Most failed attempts that a report lists one by one; the counts cover all of them.
pub const FAILED_REQUESTS_KEPT: usize = 1_000;

/// What was done, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Requests of the run proper.
    pub requests: RequestCounts,
    /// Failed attempts of the run proper by kind and status.
    pub failures: Vec<FailureCount>,
    /// The first [`FAILED_REQUESTS_KEPT`] failed attempts one by one.
    pub failed_requests: Vec<FailedRequest>,
    /// What became of the conversations.
    pub conversations: ConversationCounts,
    /// Whether the run was cut short.
    pub interrupted: bool,
}

/// Requests (turns) and the attempts at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestCounts {
    /// Requests with a complete answer.
    pub completed: u64,
    /// Requests whose last attempt failed, those cut off at the end left out.
    pub failed: u64,
    /// Requests cut off by the end of the run or by Ctrl-C.
    pub cancelled: u64,
    /// Attempts, retries included.
    pub attempts: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Attempts sent anew at once, because their idle connection turned out closed.
    #[serde(default)]
    pub reconnects: u64,
    /// Attempts of the warm-up step, in none of the counts above.
    pub warmup_attempts: u64,
    /// Failed attempts of the warm-up step.
    pub warmup_failed_attempts: u64,
}

/// Failed attempts of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureCount {
    /// The kind.
    pub kind: FailureKind,
    /// The HTTP status, where there was a response head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Attempts that failed so.
    pub attempts: u64,
    /// Requests given up after such an attempt.
    pub requests: u64,
    /// The first one's message.
    pub message: String,
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailedRequest {
    /// Id of the conversation.
    pub conversation_id: String,
    /// The client that sent it, from 0.
    pub client_id: u32,
    /// Turn within the conversation, from 1.
    pub turn: u32,
    /// Attempt at this turn, from 1.
    pub attempt: u32,
    /// Whether the request was given up after it.
    pub last_attempt: bool,
    /// When it was sent, since the run's epoch; `None` when it never was.
    pub start_time_ms: Option<f64>,
    /// Messages that it carried.
    pub input_num_turns: u32,
    /// The kind of failure.
    pub error: FailureKind,
    /// The HTTP status, where there was a response head.
    pub status: Option<u16>,
    /// In words.
    pub message: String,
}

/// Requests whose TTFT the reference-compatible table lowers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TtftCorrection {
    /// Completed requests.
    pub requests: u64,
    /// Those with a lowered TTFT.
    pub corrected: u64,
    /// Those lowered by 95 % and more: the number in the table says next to nothing about them.
    pub nearly_all_removed: u64,
}

/// Counts records that come one by one.
#[derive(Debug, Default)]
pub(super) struct CountsBuilder {
    requests: RequestCounts,
    /// Turns that wait for another attempt; what is left at the end was cut off.
    waiting: BTreeSet<(u32, u32)>,
    failures: BTreeMap<(FailureKind, Option<u16>), FailureCount>,
    failed_requests: Vec<FailedRequest>,
}

impl CountsBuilder {
    pub(super) fn add(&mut self, record: &RequestRecord) {
        self.requests.add(record);
        let is_main = record.phase == Phase::Main;
        let turn = (record.conversation, record.turn);
        if is_main && !record.last_attempt {
            self.waiting.insert(turn);
        } else {
            self.waiting.remove(&turn);
        }
        if let Some(failure) = record.outcome.failure().filter(|_| is_main) {
            self.add_failure(record, failure);
        }
    }

    fn add_failure(&mut self, record: &RequestRecord, failure: &Failure) {
        let of_kind = self.failures.entry((failure.kind, failure.status));
        let count = of_kind.or_insert_with(|| FailureCount {
            kind: failure.kind,
            status: failure.status,
            attempts: 0,
            requests: 0,
            message: failure.message.clone(),
        });
        count.attempts += 1;
        count.requests += u64::from(record.last_attempt);
        if self.failed_requests.len() < FAILED_REQUESTS_KEPT {
            self.failed_requests.extend(FailedRequest::of(record));
        }
    }

    pub(super) fn finish(&self, facts: &RunFacts) -> Counts {
        let mut requests = self.requests;
        requests.cancelled += self.waiting.len() as u64;
        Counts {
            requests,
            failures: self.failures.values().cloned().collect(),
            failed_requests: self.failed_requests.clone(),
            conversations: facts.conversations,
            interrupted: facts.interrupted,
        }
    }
}

impl RequestCounts {
    fn add(&mut self, record: &RequestRecord) {
        let failure = record.outcome.failure();
        if record.phase == Phase::Warmup {
            self.warmup_attempts += 1;
            self.warmup_failed_attempts += u64::from(failure.is_some());
            return;
        }
        self.attempts += 1;
        self.retries += u64::from(record.attempt > 1);
        self.reconnects += u64::from(record.reconnects_count);
        match failure.map(|failure| failure.kind) {
            None => self.completed += 1,
            Some(FailureKind::Cancelled) => self.cancelled += 1,
            Some(_) => self.failed += u64::from(record.last_attempt),
        }
    }
}

impl FailedRequest {
    /// The failed attempt of a record; `None` when it completed.
    pub fn of(record: &RequestRecord) -> Option<Self> {
        let failure = record.outcome.failure()?;
        Some(Self {
            conversation_id: record.conversation_id.to_string(),
            client_id: record.client,
            turn: record.turn,
            attempt: record.attempt,
            last_attempt: record.last_attempt,
            start_time_ms: record.stamps.sent_ns.map(turnbench_model::Nanos::as_millis_f64),
            input_num_turns: record.input_messages,
            error: failure.kind,
            status: failure.status,
            message: failure.message.clone(),
        })
    }
}

impl TtftCorrection {
    pub(super) fn of(rows: &[RequestRow]) -> Self {
        let corrected = rows.iter().filter(|row| row.ttft_corrected);
        let nearly_all = |row: &&RequestRow| {
            row.ttft_ms.zip(row.ttft_raw_ms).is_some_and(|(ttft, raw)| ttft <= raw * 0.05)
        };
        Self {
            requests: rows.len() as u64,
            corrected: corrected.clone().count() as u64,
            nearly_all_removed: corrected.filter(nearly_all).count() as u64,
        }
    }
}
