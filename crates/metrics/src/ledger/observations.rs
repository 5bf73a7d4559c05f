use std::collections::BTreeMap;

use turnbench_model::{Nanos, RequestRecord};

use crate::{RequestRow, SpeedObservation};

/// Attempts without a row, of which no more is known than that others waited behind them.
#[derive(Clone, Debug, Default)]
pub(crate) struct OtherAttempts(Vec<SpeedObservation>);

impl OtherAttempts {
    /// Takes in an attempt that did not complete.
    pub(crate) fn add(&mut self, record: &RequestRecord) {
        let stamps = &record.stamps;
        let (Some(sent), Some(end)) = (stamps.sent_ns, stamps.end) else { return };
        self.0.push(SpeedObservation {
            // A number that no conversation of a row has.
            conversation: u64::from(record.conversation) | (1 << 32),
            sent_ms: sent.as_millis_f64(),
            first_token_ms: stamps.first_token.map(|stamp| Nanos::as_millis_f64(stamp.at_ns)),
            end_ms: end.at_ns.as_millis_f64(),
            ..SpeedObservation::default()
        });
    }
}

/// What the clients saw of every attempt.
pub(crate) fn observations(rows: &[RequestRow], others: &OtherAttempts) -> Vec<SpeedObservation> {
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    let of_rows = rows.iter().map(|row| {
        let next = numbers.len() as u64;
        SpeedObservation {
            conversation: *numbers.entry(&*row.conversation_id).or_insert(next),
            sent_ms: row.start_time_ms,
            first_token_ms: row.ttft_raw_ms.map(|ttft| row.start_time_ms + ttft),
            end_ms: row.end_time_ms(),
            prompt_tokens: row.prompt_tokens,
            cached_tokens: row.cached_tokens,
            cached_device_tokens: row.cached_device_tokens.map(u64::from),
            cached_host_tokens: row.cached_host_tokens.map(u64::from),
            cached_storage_tokens: row.cached_storage_tokens.map(u64::from),
        }
    });
    of_rows.chain(others.0.iter().copied()).collect()
}
