use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a machine carries, as `turnbench selfcheck` measured it: the client's own CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// CPU time for each event under the heaviest load that was tried, in ns.
    pub cpu_ns_per_event: f64,
    /// CPU time for each request beside its events, in ns.
    pub cpu_ns_per_request: f64,
}

impl Capacity {
    /// Share of `cores` cores that so many requests and events in `span_sec` take, 0 and up;
    /// `None` without a span.
    pub fn used_ratio(&self, requests: u64, events: u64, span_sec: f64, cores: u32) -> Option<f64> {
        let cpu_ns =
            requests as f64 * self.cpu_ns_per_request + events as f64 * self.cpu_ns_per_event;
        let there_ns = span_sec * 1e9 * f64::from(cores.max(1));
        (there_ns > 0.0).then(|| cpu_ns / there_ns)
    }

    /// Streams at `tokens_per_sec` each, one event a token, that one core carries; `None` where
    /// the cost of an event could not be measured.
    pub fn streams_per_core(&self, tokens_per_sec: f64) -> Option<f64> {
        let cpu_ns = self.cpu_ns_per_event * tokens_per_sec;
        (cpu_ns > 0.0).then(|| 1e9 / cpu_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::Capacity;

    #[test]
    fn work_is_spread_over_the_cores() {
        let capacity = Capacity { cpu_ns_per_event: 1_000.0, cpu_ns_per_request: 20_000.0 };
        assert_eq!(capacity.used_ratio(10_000, 300_000, 1.0, 1), Some(0.5));
        assert_eq!(capacity.used_ratio(10_000, 300_000, 1.0, 4), Some(0.125));
        assert_eq!(capacity.used_ratio(10, 10, 0.0, 1), None);
        assert_eq!(capacity.streams_per_core(100.0), Some(10_000.0));
        assert_eq!(Capacity::default().streams_per_core(100.0), None);
    }
}
