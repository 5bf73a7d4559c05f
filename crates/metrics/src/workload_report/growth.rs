use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RequestSample;
use crate::{Describe, percents_for};

/// Turns up to this one stand alone; later ones are taken together in ranges, each twice as long
/// as the one before.
const SINGLE_TURNS: u32 = 8;

/// The prompts of one turn, or of a range of turns, of all conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PromptGrowth {
    /// First turn, from 1.
    pub turn: u32,
    /// Last turn that a conversation has in this range; equal to `turn` for a single turn.
    pub turn_last: u32,
    /// Requests.
    pub requests: u64,
    /// Tokens of a whole prompt.
    pub prompt_tokens: Describe,
    /// Tokens of the messages that a turn adds to the history, with the tools on the first turn.
    /// Turns without a history have none.
    pub new_tokens: Describe,
    /// Tokens of a recorded answer.
    pub answer_tokens: Describe,
    /// Share of these prompts that a cache of the smallest block size could reuse from the
    /// conversation's own earlier requests; `None` where blocks are not known.
    pub own_history_ratio: Option<f64>,
    /// The same from any earlier request.
    pub any_request_ratio: Option<f64>,
}

impl PromptGrowth {
    /// One entry for each of the first eight turns, then for turns 9-16, 17-32 and so on, as far
    /// as there are requests.
    pub fn of_all(requests: &[RequestSample]) -> Vec<Self> {
        let mut ranges: BTreeMap<u32, Vec<&RequestSample>> = BTreeMap::new();
        for request in requests {
            ranges.entry(range_start(request.turn)).or_default().push(request);
        }
        ranges.into_iter().map(|(start, requests)| Self::of(start, &requests)).collect()
    }

    fn of(turn: u32, requests: &[&RequestSample]) -> Self {
        let percents = percents_for(requests.len());
        let describe = |value: fn(&RequestSample) -> Option<u64>| {
            let values = requests.iter().map(|one| value(one).map(|value| value as f64));
            Describe::of(&values.collect::<Vec<_>>(), &percents)
        };
        let ratio = |value: fn(&RequestSample) -> Option<u64>| {
            let known = requests.iter().filter_map(|one| Some((value(one)?, one.prompt_tokens?)));
            let (reused, all) = known.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            (all > 0).then(|| reused as f64 / all as f64)
        };
        Self {
            turn,
            turn_last: requests.iter().map(|one| one.turn).max().unwrap_or(turn),
            requests: requests.len() as u64,
            prompt_tokens: describe(|one| one.prompt_tokens),
            new_tokens: describe(|one| one.new_tokens),
            answer_tokens: describe(|one| one.answer_tokens),
            own_history_ratio: ratio(|one| one.own_history_tokens),
            any_request_ratio: ratio(|one| one.any_request_tokens),
        }
    }
}

/// First turn of the range that a turn belongs to.
fn range_start(turn: u32) -> u32 {
    if turn <= SINGLE_TURNS { turn } else { 1 + (1 << (turn - 1).ilog2()) }
}

#[cfg(test)]
mod tests {
    use super::{PromptGrowth, range_start};
    use crate::RequestSample;

    #[test]
    fn later_turns_are_taken_together_in_growing_ranges() {
        let starts = [1, 8, 9, 16, 17, 32, 33, 1_000].map(range_start);
        assert_eq!(starts, [1, 8, 9, 9, 17, 17, 33, 513]);
    }

    #[test]
    fn shares_are_of_tokens_not_of_requests() {
        let request = |prompt, own| RequestSample {
            turn: 1,
            prompt_tokens: Some(prompt),
            own_history_tokens: Some(own),
            ..RequestSample::default()
        };
        let unknown = RequestSample { turn: 12, ..RequestSample::default() };
        let growth = PromptGrowth::of_all(&[request(100, 0), request(300, 200), unknown]);
        assert_eq!((growth[0].requests, growth[0].own_history_ratio), (2, Some(0.5)));
        assert_eq!((growth[1].turn, growth[1].turn_last), (9, 12));
        assert_eq!((growth[1].own_history_ratio, growth[1].prompt_tokens.count), (None, 0));
    }
}
