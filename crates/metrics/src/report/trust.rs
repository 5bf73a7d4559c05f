use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::{RequestRecord, StampSource};

use crate::row::{event_delays, first_token_delay};
use crate::{Describe, NanosSamples, RunFacts};

/// Percentiles of the client's own numbers, whatever the number of samples.
const PERCENTS: [f64; 3] = [50.0, 90.0, 99.0];

/// What the client itself may have added to the numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientTrust {
    /// Attempts that were sent.
    pub attempts: u64,
    /// `sent - intended`, over all attempts that were sent.
    pub send_lateness_ms: Describe,
    /// Time between the kernel's receipt of the first token and its read, over all first tokens of
    /// completed requests that the kernel stamped.
    pub first_token_delay_ms: Describe,
    /// Time between the kernel's receipt of an event's bytes and their read, over all events with
    /// output text of completed requests that the kernel stamped.
    pub client_delay_ms: Describe,
    /// Share (0..1) of first tokens that the kernel stamped; `None` without a first token.
    pub kernel_stamped_ratio: Option<f64>,
    /// Records that had to wait because the recorder's channel was full.
    #[serde(default)]
    pub record_waits: u64,
}

/// Takes in attempts one by one.
#[derive(Debug, Default)]
pub(super) struct TrustBuilder {
    lateness: NanosSamples,
    first_token_delays: NanosSamples,
    event_delays: NanosSamples,
    first_tokens: u64,
    kernel_stamped: u64,
}

impl TrustBuilder {
    pub(super) fn add(&mut self, record: &RequestRecord) {
        let stamps = &record.stamps;
        if let Some(sent) = stamps.sent_ns {
            self.lateness.add(sent.since(stamps.intended_ns));
        }
        if let Some(first) = stamps.first_token {
            self.first_tokens += 1;
            self.kernel_stamped += u64::from(first.source == StampSource::Kernel);
        }
        if record.outcome.is_completed() {
            if let Some(delay) = first_token_delay(stamps) {
                self.first_token_delays.add(delay);
            }
            event_delays(&record.answer).for_each(|delay| self.event_delays.add(delay));
        }
    }

    /// One delay for each event of the completed requests.
    pub(super) fn event_delays(&mut self) -> &mut NanosSamples {
        &mut self.event_delays
    }

    pub(super) fn finish(&mut self, facts: &RunFacts) -> ClientTrust {
        ClientTrust {
            attempts: self.lateness.count(),
            send_lateness_ms: self.lateness.describe_ms(&PERCENTS),
            first_token_delay_ms: self.first_token_delays.describe_ms(&PERCENTS),
            client_delay_ms: self.event_delays.describe_ms(&PERCENTS),
            kernel_stamped_ratio: (self.first_tokens > 0)
                .then(|| self.kernel_stamped as f64 / self.first_tokens as f64),
            record_waits: facts.record_waits,
        }
    }
}
