//! What conversations that are open at a time keep in a cache.

use std::collections::BTreeMap;

use crate::PromptBlocks;

/// What a workload's open conversations have in a cache together, in whole blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkingSet {
    /// Tokens that several conversations share, each counted once.
    pub shared_tokens: f64,
    /// Tokens of its own that a conversation leaves with a request: the mean over all requests. As
    /// conversations take turns and new ones replace those that end, it is what each has on average.
    pub own_tokens_mean: f64,
}

impl WorkingSet {
    /// Of a workload's blocks; `None` where none of its requests has any of its own.
    pub fn of(blocks: &PromptBlocks) -> Option<Self> {
        const SHARED: u32 = u32::MAX;
        let requests = blocks.cache_requests(1);
        let mut owners: BTreeMap<u64, u32> = BTreeMap::new();
        for request in &requests {
            for block in request.left_blocks {
                let owner = owners.entry(*block).or_insert(request.conversation);
                if *owner != request.conversation {
                    *owner = SHARED;
                }
            }
        }
        let is_own = |block: &&u64| owners.get(block) != Some(&SHARED);
        let own = requests.iter().map(|it| it.left_blocks.iter().filter(is_own).count() as u64);
        let shared = owners.values().filter(|owner| **owner == SHARED).count();
        let block_tokens = f64::from(blocks.block_tokens);
        let own_tokens_mean = own.sum::<u64>() as f64 * block_tokens / requests.len().max(1) as f64;
        (own_tokens_mean > 0.0)
            .then_some(Self { shared_tokens: shared as f64 * block_tokens, own_tokens_mean })
    }

    /// Tokens of so many open conversations.
    pub fn tokens(&self, conversations: f64) -> f64 {
        self.shared_tokens + conversations * self.own_tokens_mean
    }

    /// Open conversations that come nearest to so many tokens; 0 where one is too many.
    pub fn conversations(&self, tokens: f64) -> u64 {
        ((tokens - self.shared_tokens) / self.own_tokens_mean).round().max(0.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Conversation, Message};

    use super::WorkingSet;
    use crate::{BlockOptions, BuiltinTokenizer, PromptBlocks};

    fn conversations(count: usize, turns: usize) -> Vec<Conversation> {
        let head = "the same head of every prompt, and a long one ".repeat(40);
        (0..count)
            .map(|index| {
                let mut messages = vec![Message::new("system", head.clone())];
                for turn in 0..turns {
                    let text = format!("{index} asks {turn} at length, ").repeat(30);
                    messages.push(Message::new("user", text));
                    messages.push(Message::new("assistant", format!("{index} hears {turn}")));
                }
                Conversation { id: index.to_string(), messages, ..Conversation::default() }
            })
            .collect()
    }

    fn working_set(conversations: &[Conversation]) -> WorkingSet {
        let tokenizer = BuiltinTokenizer::new("o200k_base").unwrap();
        let options = BlockOptions {
            tokenizer: Some(&tokenizer),
            tokenizer_name: "o200k",
            template: None,
            block_tokens: 16,
            progress: &|| {},
        };
        let blocks = PromptBlocks::of_workload(conversations, &options).unwrap();
        WorkingSet::of(&blocks).unwrap()
    }

    #[test]
    fn what_is_shared_counts_once_and_contexts_grow() {
        let (short, long) = (working_set(&conversations(4, 1)), working_set(&conversations(4, 3)));
        assert!(short.shared_tokens >= 320.0 && short.shared_tokens == long.shared_tokens);
        // Of three turns the mean is what the second leaves.
        let ratio = long.own_tokens_mean / short.own_tokens_mean;
        assert!((1.8..2.3).contains(&ratio), "{short:?} {long:?}");
        assert_eq!(long.tokens(0.0), long.shared_tokens);
        assert_eq!(long.conversations(long.tokens(7.2)), 7);
        assert_eq!(long.conversations(1.0), 0);
    }
}
