use super::SpeedObservation;

/// What else a server had to do between a request's sending and its first token, as far as the
/// clients' other requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Crowd {
    /// Nothing.
    Alone,
    /// Others were there that had their first tokens: they share steps with it, but it need not wait for a
    /// prompt.
    Decoding,
    /// Another prompt was waited for or computed at some time of it.
    Waiting,
}

impl Crowd {
    /// Of each observation, in their order. Needs O(n log n).
    pub(super) fn of(observations: &[SpeedObservation]) -> Vec<Self> {
        let mut order: Vec<usize> = (0..observations.len()).collect();
        order.sort_by(|&a, &b| observations[a].sent_ms.total_cmp(&observations[b].sent_ms));
        let mut crowds = vec![Self::Alone; observations.len()];
        // The latest first token and the latest end of those sent before.
        let (mut prefilled, mut ended) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (rank, &index) in order.iter().enumerate() {
            let own = &observations[index];
            let next = order.get(rank + 1).map(|&next| observations[next].sent_ms);
            crowds[index] =
                if prefilled > own.sent_ms || next.is_some_and(|next| next < own.prefilled_ms()) {
                    Self::Waiting
                } else if ended > own.sent_ms {
                    Self::Decoding
                } else {
                    Self::Alone
                };
            prefilled = prefilled.max(own.prefilled_ms());
            ended = ended.max(own.end_ms);
        }
        crowds
    }
}

#[cfg(test)]
mod tests {
    use super::Crowd::{self, Alone, Decoding, Waiting};
    use crate::speeds::SpeedObservation;

    fn check(spans: &[(f64, f64, f64)], expect: &[Crowd]) {
        let observation = |&(sent_ms, first, end_ms): &(f64, f64, f64)| SpeedObservation {
            sent_ms,
            first_token_ms: Some(first),
            end_ms,
            ..SpeedObservation::default()
        };
        let observations: Vec<_> = spans.iter().map(observation).collect();
        assert_eq!(Crowd::of(&observations), expect, "{spans:?}");
    }

    #[test]
    fn prompts_that_overlap_wait_and_answers_that_overlap_decode() {
        check(&[], &[]);
        check(&[(0.0, 5.0, 10.0), (10.0, 15.0, 20.0)], &[Alone, Alone]);
        check(&[(0.0, 5.0, 10.0), (6.0, 8.0, 20.0)], &[Alone, Decoding]);
        check(&[(0.0, 5.0, 10.0), (4.0, 8.0, 20.0)], &[Waiting, Waiting]);
        // A long prompt is still there when a third comes; order of the list does not matter.
        check(
            &[(6.0, 7.0, 8.0), (0.0, 9.0, 10.0), (1.0, 2.0, 3.0), (9.5, 9.7, 9.9)],
            &[Waiting, Waiting, Waiting, Decoding],
        );
    }
}
