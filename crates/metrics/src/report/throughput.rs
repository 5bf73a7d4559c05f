use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::{Nanos, RequestRecord};

use crate::RequestRow;

/// Rates over the true span: from the first send to the latest end of any attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Throughput {
    /// `max(end) - min(sent)` over all attempts; `None` when nothing was sent.
    pub span_sec: Option<f64>,
    /// Completed requests in that span, per second.
    pub requests_per_sec: Option<f64>,
    /// Input tokens of completed requests, per second; `None` when a count is missing.
    pub input_tokens_per_sec: Option<f64>,
    /// Output tokens of completed requests, per second; `None` when a count is missing.
    pub output_tokens_per_sec: Option<f64>,
}

impl Throughput {
    pub(super) fn of(span: Span, rows: &[RequestRow]) -> Self {
        let Some(span_sec) = span.secs() else { return Self::default() };
        let rate = |amount: u64| (span_sec > 0.0).then(|| amount as f64 / span_sec);
        // A server may report any number; a sum that does not fit is as large as it gets.
        let sum = |value: fn(&RequestRow) -> Option<u64>| {
            let mut values = rows.iter().map(value);
            values.try_fold(0_u64, |sum, value| value.map(|value| sum.saturating_add(value)))
        };
        let input: Option<u64> = sum(|row| row.input_num_tokens);
        let output: Option<u64> = sum(|row| row.output_num_tokens);
        Self {
            span_sec: Some(span_sec),
            requests_per_sec: rate(rows.len() as u64),
            input_tokens_per_sec: input.and_then(rate),
            output_tokens_per_sec: output.and_then(rate),
        }
    }
}

/// First send and latest end of the attempts so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    sent: Option<Nanos>,
    end: Option<Nanos>,
}

impl Span {
    pub(super) fn add(&mut self, record: &RequestRecord) {
        let stamps = &record.stamps;
        let end = stamps.end.or(stamps.last_token).or(stamps.headers);
        let end = end.map(|stamp| stamp.at_ns).max(stamps.sent_ns);
        self.end = self.end.max(end);
        self.sent = match (self.sent, stamps.sent_ns) {
            (Some(first), Some(sent)) => Some(first.min(sent)),
            (first, sent) => first.or(sent),
        };
    }

    fn secs(self) -> Option<f64> {
        Some(self.end?.since(self.sent?).as_secs_f64())
    }
}
