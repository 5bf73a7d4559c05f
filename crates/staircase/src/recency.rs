/// Prompts by when they were last sent.
///
/// Prompts have nothing in common, so that the tokens of those sent since are a prompt's stack distance
/// (Mattson), without its own: what an LRU cache had to hold to still have its last token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recency {
    /// Prompt and tokens that it leaves, the most recent last.
    order: Vec<(u32, u32)>,
}

/// A prompt in the order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) prompt: u32,
    pub(crate) tokens: u32,
    /// Tokens of the prompts sent since.
    pub(crate) newer_tokens: u64,
}

impl Recency {
    /// A prompt was sent, which leaves `tokens`: gives the tokens of those sent since it was last, if
    /// it was.
    pub(crate) fn touch(&mut self, prompt: u32, tokens: u32) -> Option<u64> {
        let place = self.places().find(|place| place.prompt == prompt);
        if place.is_some() {
            self.order.retain(|(other, _)| *other != prompt);
        }
        self.order.push((prompt, tokens));
        place.map(|place| place.newer_tokens)
    }

    /// All prompts, the most recent first.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        let mut newer_tokens = 0;
        self.order.iter().rev().map(move |&(prompt, tokens)| {
            let place = Place { prompt, tokens, newer_tokens };
            newer_tokens += u64::from(tokens);
            place
        })
    }
}

#[cfg(test)]
mod tests {
    use turnbench_kvcache::StackDistances;

    use super::Recency;

    #[test]
    fn newer_tokens_are_stack_distances() {
        let (mut recency, mut stack) = (Recency::default(), StackDistances::new());
        let tokens_of = |prompt: u32| 3 + prompt % 4;
        for step in 0..200_u32 {
            let prompt = step.wrapping_mul(2_654_435_761) >> 27;
            let tokens = tokens_of(prompt);
            let name = |token: u32| u64::from(prompt) << 32 | u64::from(token);
            // Tails first, so that a cache loses them first.
            let last = stack.distance(name(tokens - 1));
            for token in (0..tokens).rev() {
                stack.touch(name(token));
            }
            let newer = recency.touch(prompt, tokens);
            assert_eq!(newer.map(|newer| newer + u64::from(tokens)), last, "step {step}");
        }
        let all: u64 = recency.places().map(|place| u64::from(place.tokens)).sum();
        assert_eq!(all, stack.blocks_count());
    }
}
