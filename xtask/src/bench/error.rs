use std::collections::BTreeMap;

use super::client::Seen;
use super::statistics::{mean, quantile};
use super::truth::Truth;

/// How far a client's figures are from the source's, without their signs. In milliseconds; NaN where
/// the client has no such figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Error {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Error {
    /// Of requests that were matched: statistics of the distances.
    fn of_distances(distances: &[f64]) -> Self {
        let distances: Vec<f64> = distances.iter().map(|distance| distance.abs()).collect();
        Self {
            mean: mean(&distances),
            p50: quantile(&distances, 0.5),
            p99: quantile(&distances, 0.99),
            max: quantile(&distances, 1.0),
        }
    }

    /// Of requests that cannot be matched: distances of the statistics.
    fn of_statistics(seen: &[f64], true_values: &[f64]) -> Self {
        let distance = |share| (quantile(seen, share) - quantile(true_values, share)).abs();
        Self {
            mean: (mean(seen) - mean(true_values)).abs(),
            p50: distance(0.5),
            p99: distance(0.99),
            max: distance(1.0),
        }
    }
}

/// A client's errors in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Errors {
    pub(crate) ttft: Error,
    pub(crate) tpot: Error,
    /// Of the times between tokens.
    pub(crate) itl: Error,
    /// Whether the requests were matched one by one.
    pub(crate) matched: bool,
}

impl Errors {
    pub(crate) fn of(seen: &[Seen], truths: &[Truth]) -> Self {
        match matched(seen, truths) {
            Some(pairs) => Self::of_pairs(&pairs),
            None => Self::of_all(seen, truths),
        }
    }

    fn of_pairs(pairs: &[(&Seen, &Truth)]) -> Self {
        let ttft: Vec<f64> =
            pairs.iter().map(|(seen, truth)| seen.ttft_ms - truth.ttft_ms()).collect();
        let tpot = pairs.iter().filter_map(|(seen, truth)| Some(seen.tpot_ms? - truth.tpot_ms()?));
        let gaps: Vec<(&Seen, Vec<f64>)> =
            pairs.iter().map(|(seen, truth)| (*seen, truth.gaps_ms())).collect();
        // A client that sees another number of events than were written counts other ones.
        let itl = if gaps.iter().all(|(seen, gaps)| seen.gaps_ms.len() == gaps.len()) {
            let distances = gaps.iter().flat_map(|(seen, gaps)| {
                seen.gaps_ms.iter().zip(gaps).map(|(seen, gap)| seen - gap)
            });
            Error::of_distances(&distances.collect::<Vec<_>>())
        } else {
            let seen: Vec<f64> = gaps.iter().flat_map(|(seen, _)| seen.gaps_ms.clone()).collect();
            let true_gaps: Vec<f64> = gaps.into_iter().flat_map(|(_, gaps)| gaps).collect();
            Error::of_statistics(&seen, &true_gaps)
        };
        Self {
            ttft: Error::of_distances(&ttft),
            tpot: Error::of_distances(&tpot.collect::<Vec<_>>()),
            itl,
            matched: true,
        }
    }

    fn of_all(seen: &[Seen], truths: &[Truth]) -> Self {
        let statistics = |of_seen: &dyn Fn(&Seen) -> Vec<f64>,
                          of_truth: &dyn Fn(&Truth) -> Vec<f64>| {
            let seen: Vec<f64> = seen.iter().flat_map(of_seen).collect();
            let true_values: Vec<f64> = truths.iter().flat_map(of_truth).collect();
            Error::of_statistics(&seen, &true_values)
        };
        Self {
            ttft: statistics(&|seen| vec![seen.ttft_ms], &|truth| vec![truth.ttft_ms()]),
            tpot: statistics(&|seen| seen.tpot_ms.into_iter().collect(), &|truth| {
                truth.tpot_ms().into_iter().collect()
            }),
            itl: statistics(&|seen| seen.gaps_ms.clone(), &Truth::gaps_ms),
            matched: false,
        }
    }
}

/// Each request beside its truth; `None` unless all of the client's are found.
fn matched<'a>(seen: &'a [Seen], truths: &'a [Truth]) -> Option<Vec<(&'a Seen, &'a Truth)>> {
    let mut by_id = BTreeMap::new();
    for truth in truths {
        let ids = [Some(&truth.id), truth.x_session_id.as_ref(), truth.x_request_id.as_ref()];
        for id in ids.into_iter().flatten() {
            by_id.insert(id.as_str(), truth);
        }
    }
    seen.iter().map(|seen| Some((seen, *by_id.get(seen.id.as_deref()?)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Error, Errors};
    use crate::bench::client::Seen;
    use crate::bench::truth::Truth;

    const MS: u64 = 1_000_000;

    fn truth(id: &str, ttft_ms: u64) -> Truth {
        let first = 100 * MS + ttft_ms * MS;
        Truth {
            x_session_id: Some(id.to_owned()),
            arrival_unix_ns: 100 * MS,
            first_token_unix_ns: Some(first),
            last_token_unix_ns: Some(first + 20 * MS),
            writes_unix_ns: vec![first, first + 8 * MS, first + 20 * MS],
            output_tokens: 3,
            ..Truth::default()
        }
    }

    fn seen(id: Option<&str>, ttft_ms: f64, gaps_ms: &[f64]) -> Seen {
        Seen {
            id: id.map(str::to_owned),
            ttft_ms,
            tpot_ms: Some(gaps_ms.iter().sum::<f64>() / 2.0),
            gaps_ms: gaps_ms.to_vec(),
            delay_ms: None,
        }
    }

    #[test]
    fn requests_are_held_against_their_own_truth() {
        let truths = [truth("a", 50), truth("b", 70)];
        let of = [seen(Some("b"), 71.0, &[9.0, 12.0]), seen(Some("a"), 48.0, &[8.0, 12.0])];
        let errors = Errors::of(&of, &truths);
        assert!(errors.matched);
        assert_eq!(errors.ttft, Error { mean: 1.5, p50: 1.5, p99: 1.99, max: 2.0 });
        assert_eq!((errors.tpot.max, errors.tpot.mean), (0.5, 0.25));
        assert_eq!((errors.itl.max, errors.itl.mean), (1.0, 0.25));
    }

    #[test]
    fn requests_without_a_name_are_compared_as_a_whole() {
        let truths = [truth("a", 50), truth("b", 70)];
        let of = [seen(None, 51.0, &[8.0, 12.0]), seen(Some("b"), 69.0, &[8.0, 12.0])];
        let errors = Errors::of(&of, &truths);
        assert!(!errors.matched);
        assert_eq!((errors.ttft.mean, errors.ttft.max), (0.0, 1.0));
        assert_eq!((errors.tpot.mean, errors.itl.max), (0.0, 0.0));
    }

    #[test]
    fn times_between_other_events_are_compared_as_a_whole() {
        let truths = [truth("a", 50)];
        let errors = Errors::of(&[seen(Some("a"), 50.0, &[0.0, 8.0, 12.0])], &truths);
        assert_eq!((errors.ttft.max, errors.itl.max, errors.itl.p50), (0.0, 0.0, 2.0));
        let none = Errors::of(&[seen(Some("a"), 50.0, &[])], &truths);
        assert!(none.itl.p99.is_nan());
    }
}
