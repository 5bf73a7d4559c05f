use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::Nanos;

use super::{Distribution, RequestSample};

/// Parts of the recorded time in which arrivals are counted.
const INTERVALS: usize = 40;

/// What a data set says about times. Everything is in seconds; a distribution without values is
/// of something that it says nothing about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadTimes {
    /// When requests were sent; `None` where that is not known of two requests at least.
    pub arrivals: Option<Arrivals>,
    /// Pauses between the end of an answer and the next request.
    pub think_time_sec: Distribution,
    /// From a request to the next one of the same conversation, where both times are known.
    pub between_turns_sec: Distribution,
    /// Recorded times of whole answers.
    pub latency_sec: Distribution,
    /// Recorded times of first tokens.
    pub ttft_sec: Distribution,
}

/// When requests were sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Arrivals {
    /// Requests whose time is known.
    pub requests: u64,
    /// From the first to the last.
    pub span_sec: f64,
    /// `(requests - 1) / span_sec`; `None` when all came at once.
    pub requests_per_sec: Option<f64>,
    /// From a request to the next one of any conversation.
    pub gap_sec: Distribution,
    /// Requests in each of 40 equal parts of that time; the last instant belongs to the last part.
    /// Empty when all came at once.
    pub over_time: Vec<u64>,
}

impl WorkloadTimes {
    pub(super) fn of(requests: &[RequestSample]) -> Self {
        let of = |value: fn(&RequestSample) -> Option<Nanos>| {
            Distribution::of(requests.iter().filter_map(value).map(Nanos::as_secs_f64).collect())
        };
        Self {
            arrivals: Arrivals::of(requests.iter().filter_map(|one| one.sent_at_ns).collect()),
            think_time_sec: of(|one| one.think_time_ns),
            between_turns_sec: Distribution::of(between_turns(requests)),
            latency_sec: of(|one| one.latency_ns),
            ttft_sec: of(|one| one.ttft_ns),
        }
    }
}

fn between_turns(requests: &[RequestSample]) -> Vec<f64> {
    let mut last: BTreeMap<u32, (u32, Nanos)> = BTreeMap::new();
    let mut gaps = Vec::new();
    for request in requests {
        let Some(sent) = request.sent_at_ns else { continue };
        if let Some((turn, before)) = last.insert(request.conversation, (request.turn, sent))
            && turn + 1 == request.turn
        {
            gaps.push(sent.since(before).as_secs_f64());
        }
    }
    gaps
}

impl Arrivals {
    fn of(mut sent: Vec<Nanos>) -> Option<Self> {
        sent.sort_unstable();
        let (&first, &last) = (sent.first()?, sent.get(1..)?.last()?);
        let span_sec = last.since(first).as_secs_f64();
        let gaps = sent.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
        let mut over_time = vec![0; if span_sec > 0.0 { INTERVALS } else { 0 }];
        for &at in sent.iter().filter(|_| span_sec > 0.0) {
            let part = at.since(first).as_secs_f64() / span_sec * INTERVALS as f64;
            over_time[(part as usize).min(INTERVALS - 1)] += 1;
        }
        Some(Self {
            requests: sent.len() as u64,
            span_sec,
            requests_per_sec: (span_sec > 0.0).then(|| (sent.len() - 1) as f64 / span_sec),
            gap_sec: Distribution::of(gaps),
            over_time,
        })
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::Nanos;

    use super::WorkloadTimes;
    use crate::RequestSample;

    fn request(conversation: u32, turn: u32, sent_ms: Option<u64>) -> RequestSample {
        let sent_at_ns = sent_ms.map(Nanos::from_millis);
        RequestSample { conversation, turn, sent_at_ns, ..RequestSample::default() }
    }

    #[test]
    fn arrivals_are_sorted_over_all_conversations_and_turns_are_not() {
        let times = WorkloadTimes::of(&[
            request(0, 1, Some(0)),
            request(0, 2, Some(4_000)),
            request(0, 3, None),
            request(0, 4, Some(8_000)),
            request(1, 1, Some(1_000)),
        ]);
        let arrivals = times.arrivals.unwrap();
        assert_eq!((arrivals.requests, arrivals.span_sec), (4, 8.0));
        assert_eq!(arrivals.requests_per_sec, Some(0.375));
        let gaps = &arrivals.gap_sec.describe;
        assert_eq!((gaps.count, gaps.min, gaps.max), (3, Some(1.0), Some(4.0)));
        let (first, last) = (arrivals.over_time[0], arrivals.over_time[39]);
        assert_eq!((first, last, arrivals.over_time.iter().sum::<u64>()), (1, 1, 4));
        let between = &times.between_turns_sec.describe;
        assert_eq!((between.count, between.max), (1, Some(4.0)), "turn 3 has no time");
    }

    #[test]
    fn all_at_once_has_no_rate_and_one_request_no_arrivals() {
        let times = WorkloadTimes::of(&[request(0, 1, Some(5)), request(1, 1, Some(5))]);
        let arrivals = times.arrivals.unwrap();
        assert_eq!((arrivals.requests_per_sec, arrivals.over_time.len()), (None, 0));
        assert!(WorkloadTimes::of(&[request(0, 1, Some(5))]).arrivals.is_none());
    }
}
