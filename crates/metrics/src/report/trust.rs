use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::{Nanos, RequestRecord, StampSource};

use crate::{Describe, RunFacts};

/// What the client itself may have added to the numbers, over all attempts that were sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientTrust {
    /// Attempts that were sent.
    pub attempts: u64,
    /// `sent - intended`.
    pub send_lateness_ms: Describe,
    /// Largest time between the kernel's receipt of bytes and their read, for each attempt;
    /// without values when the kernel gave no stamps.
    pub client_delay_ms: Describe,
    /// Share (0..1) of first tokens that the kernel stamped; `None` without a first token.
    pub kernel_stamped_ratio: Option<f64>,
    /// Records that had to wait because the recorder's channel was full.
    #[serde(default)]
    pub record_waits: u64,
}

impl ClientTrust {
    pub(super) fn of(records: &[&RequestRecord], facts: &RunFacts) -> Self {
        const PERCENTS: [f64; 3] = [50.0, 90.0, 99.0];
        let lateness: Vec<f64> = records
            .iter()
            .filter_map(|record| Some((record.stamps.sent_ns?, record.stamps.intended_ns)))
            .map(|(sent, intended)| sent.since(intended).as_millis_f64())
            .collect();
        let delays: Vec<f64> = records
            .iter()
            .filter_map(|record| record.client_delay_max_ns)
            .map(Nanos::as_millis_f64)
            .collect();
        let sources: Vec<StampSource> =
            records.iter().filter_map(|record| Some(record.stamps.first_token?.source)).collect();
        let kernel = sources.iter().filter(|source| **source == StampSource::Kernel).count();
        Self {
            attempts: lateness.len() as u64,
            send_lateness_ms: Describe::of_all(&lateness, &PERCENTS),
            client_delay_ms: Describe::of_all(&delays, &PERCENTS),
            kernel_stamped_ratio: (!sources.is_empty())
                .then(|| kernel as f64 / sources.len() as f64),
            record_waits: facts.record_waits,
        }
    }
}
