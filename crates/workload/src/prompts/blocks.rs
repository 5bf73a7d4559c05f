use std::collections::VecDeque;

use rayon::prelude::*;
use turnbench_kvcache::CacheRequest;
use turnbench_metrics::{RequestOrder, TokenBasis};
use turnbench_model::{ChatTemplate, Conversation, Nanos, Tokenizer};

use super::{ConversationFacts, Prompts, facts_of, order_of, piece_tokenizer, token_basis};
use crate::WorkloadError;

/// How a workload's prompts are cut into blocks.
#[derive(Clone, Copy)]
pub struct BlockOptions<'a> {
    /// Tokenizes messages; `None`: only traces that name their blocks have any.
    pub tokenizer: Option<&'a dyn Tokenizer>,
    /// Its name.
    pub tokenizer_name: &'a str,
    /// Renders prompts; `None` puts messages one after another.
    pub template: Option<&'a dyn ChatTemplate>,
    /// Tokens of a block. Traces have their own.
    pub block_tokens: u32,
    /// Told of each conversation that is through, from any thread.
    pub progress: &'a (dyn Fn() + Sync),
}

/// The requests of a workload as a prefix cache sees them.
#[derive(Clone, Debug)]
pub struct PromptBlocks {
    /// Tokens of a block.
    pub block_tokens: u32,
    /// Where tokens and blocks come from.
    pub basis: TokenBasis,
    /// By time where every request has one.
    pub order: RequestOrder,
    /// Conversation by conversation.
    pub requests: Vec<RequestBlocks>,
    /// Requests of which nothing is known but lengths, or whose blocks are of another size than
    /// the first ones'.
    pub unknown_requests: u64,
    pub(super) conversations_count: usize,
    pub(super) sequences: Vec<Vec<u64>>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct RequestBlocks {
    /// Its conversation's place in the workload.
    pub conversation: u32,
    /// From 1.
    pub turn: u32,
    /// Tokens of its prompt.
    pub prompt_tokens: u64,
    /// Tokens of it that its conversation's last request had left; known of runs only, else 0.
    pub continued_tokens: u64,
    pub(super) sequence: usize,
    pub(super) prompt_blocks: usize,
    pub(super) left_blocks: usize,
    pub(super) sent: Nanos,
    pub(super) prefill: Nanos,
    pub(super) latency: Nanos,
}

impl PromptBlocks {
    /// Names the blocks of all prompts, on all cores.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn of_workload(
        conversations: &[Conversation],
        options: &BlockOptions<'_>,
    ) -> Result<Self, WorkloadError> {
        let block_sizes = [options.block_tokens];
        let pieces = options.tokenizer.map(piece_tokenizer);
        let prompts = pieces.as_ref().map(|pieces| Prompts {
            pieces,
            template: options.template,
            block_sizes: &block_sizes,
        });
        let mut blocks = Self {
            block_tokens: options.block_tokens,
            basis: TokenBasis::None,
            order: order_of(conversations),
            requests: Vec::new(),
            unknown_requests: 0,
            conversations_count: conversations.len(),
            sequences: Vec::new(),
        };
        let facts = conversations
            .par_iter()
            .enumerate()
            .map(|(index, conversation)| {
                let facts = facts_of(index, conversation, prompts);
                (options.progress)();
                facts
            })
            .collect::<Result<Vec<_>, WorkloadError>>()?;
        let rejected = facts.iter().filter(|facts| facts.rejected).count() as u64;
        let mut block_tokens = None;
        for facts in facts {
            blocks.take(facts, &mut block_tokens);
        }
        blocks.block_tokens = block_tokens.unwrap_or(options.block_tokens);
        blocks.basis = token_basis(conversations, prompts, options.tokenizer_name, rejected);
        Ok(blocks)
    }

    fn take(&mut self, facts: ConversationFacts, block_tokens: &mut Option<u32>) {
        let first = self.sequences.len();
        for sequence in &facts.sequences {
            let chain = sequence.chains.first();
            let size = chain.map(|chain| *block_tokens.get_or_insert(chain.block_size));
            let blocks = chain.filter(|chain| Some(chain.block_size) == size);
            let blocks = blocks.map(|chain| &chain.blocks[..]).unwrap_or_default();
            self.sequences.push(blocks.iter().map(|block| block.name()).collect());
        }
        for request in facts.requests {
            let lengths = request.lengths();
            let known = request.sequence.filter(|&sequence| {
                let chain = facts.sequences[sequence].chains.first();
                chain.map(|chain| chain.block_size) == *block_tokens
            });
            let Some(sequence) = known.map(|sequence| first + sequence) else {
                self.unknown_requests += 1;
                continue;
            };
            let all = self.sequences[sequence].len();
            let full = |tokens: u64| {
                let blocks = tokens / u64::from(block_tokens.unwrap_or(1).max(1));
                usize::try_from(blocks).unwrap_or(usize::MAX).min(all)
            };
            // The last token of an answer is never computed.
            let left = lengths.prompt + lengths.answer.saturating_sub(1);
            let sample = &request.sample;
            let latency = sample.latency_ns.unwrap_or_default();
            self.requests.push(RequestBlocks {
                conversation: sample.conversation,
                turn: sample.turn,
                prompt_tokens: lengths.prompt,
                continued_tokens: 0,
                sequence,
                prompt_blocks: full(lengths.prompt),
                left_blocks: full(left),
                sent: sample.sent_at_ns.unwrap_or_default(),
                prefill: sample.ttft_ns.unwrap_or(latency),
                latency,
            });
        }
    }

    /// Blocks that all requests together look up.
    pub fn looked_up(&self) -> u64 {
        self.requests.iter().map(|request| request.prompt_blocks as u64).sum()
    }

    /// The requests with their times: those recorded, or without them one request after another, of
    /// `active` conversations in turns; where one ends, the next in the file begins.
    pub fn cache_requests(&self, active: usize) -> Vec<CacheRequest<'_>> {
        if self.order == RequestOrder::SentTime {
            let timed = |request: &RequestBlocks| {
                let sent = request.sent;
                let prefilled = Nanos(sent.0.saturating_add(request.prefill.0));
                let ended = Nanos(sent.0.saturating_add(request.latency.0)).max(prefilled);
                self.cache_request(request, [sent, prefilled, ended])
            };
            return self.requests.iter().map(timed).collect();
        }
        let in_turns = self.in_turns(active.max(1));
        let at = |place: usize| {
            let sent = place as u64 * 3;
            [Nanos(sent), Nanos(sent + 1), Nanos(sent + 2)]
        };
        let requests = in_turns.into_iter().enumerate();
        requests
            .map(|(place, index)| self.cache_request(&self.requests[index], at(place)))
            .collect()
    }

    /// The same in larger blocks; `None` unless their size is a multiple of these. A chained name stands
    /// for all blocks before it too, so that every n-th of them names a block n times as large.
    pub fn in_blocks_of(mut self, block_tokens: u32) -> Option<Self> {
        let before = self.block_tokens.max(1);
        let factor = (block_tokens / before) as usize;
        if factor == 0 || !block_tokens.is_multiple_of(before) {
            return None;
        }
        for names in &mut self.sequences {
            *names = names.iter().copied().skip(factor - 1).step_by(factor).collect();
        }
        for request in &mut self.requests {
            request.prompt_blocks /= factor;
            request.left_blocks /= factor;
        }
        self.block_tokens = block_tokens;
        Some(self)
    }

    /// Conversations in the workload.
    pub const fn conversations_count(&self) -> usize {
        self.conversations_count
    }

    fn cache_request(&self, request: &RequestBlocks, at: [Nanos; 3]) -> CacheRequest<'_> {
        let names = &self.sequences[request.sequence];
        let [sent, prefilled, ended] = at;
        CacheRequest {
            conversation: request.conversation,
            turn: request.turn,
            prompt_tokens: request.prompt_tokens,
            prompt_blocks: &names[..request.prompt_blocks],
            left_blocks: &names[..request.left_blocks.max(request.prompt_blocks)],
            sent,
            prefilled,
            ended,
        }
    }

    fn in_turns(&self, active: usize) -> Vec<usize> {
        let mut waiting = (0..self.requests.len()).peekable();
        let mut next_conversation = || {
            let first = waiting.next()?;
            let conversation = self.requests[first].conversation;
            let mut end = first + 1;
            while waiting.next_if(|&at| self.requests[at].conversation == conversation).is_some() {
                end += 1;
            }
            Some(first..end)
        };
        let mut open: VecDeque<_> =
            std::iter::from_fn(&mut next_conversation).take(active).collect();
        let mut order = Vec::with_capacity(self.requests.len());
        while let Some(mut conversation) = open.pop_front() {
            order.extend(conversation.next());
            if conversation.is_empty() {
                open.extend(next_conversation());
            } else {
                open.push_back(conversation);
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Conversation, Message};

    use super::{BlockOptions, PromptBlocks};
    use crate::BuiltinTokenizer;

    fn conversation(id: &str, turns: usize) -> Conversation {
        let mut conversation = Conversation { id: id.into(), ..Conversation::default() };
        for turn in 0..turns {
            let text = format!("{id} asks {turn} ").repeat(20);
            conversation.messages.push(Message::new("user", text));
            conversation.messages.push(Message::new("assistant", format!("{id} hears {turn}")));
        }
        conversation
    }

    fn blocks(conversations: &[Conversation]) -> PromptBlocks {
        let tokenizer = BuiltinTokenizer::new("o200k_base").unwrap();
        let options = BlockOptions {
            tokenizer: Some(&tokenizer),
            tokenizer_name: "o200k",
            template: None,
            block_tokens: 16,
            progress: &|| {},
        };
        PromptBlocks::of_workload(conversations, &options).unwrap()
    }

    fn order(blocks: &PromptBlocks, active: usize) -> Vec<(u32, u32)> {
        let requests = blocks.cache_requests(active);
        requests.iter().map(|request| (request.conversation, request.turn)).collect()
    }

    #[test]
    fn conversations_take_turns_and_the_next_one_follows_where_one_ends() {
        let all = [conversation("a", 3), conversation("b", 1), conversation("c", 2)];
        let blocks = blocks(&all);
        let one = [(0, 1), (0, 2), (0, 3), (1, 1), (2, 1), (2, 2)];
        assert_eq!(order(&blocks, 1), one);
        assert_eq!(order(&blocks, 2), [(0, 1), (1, 1), (0, 2), (2, 1), (0, 3), (2, 2)]);
        assert_eq!(order(&blocks, 9), [(0, 1), (1, 1), (2, 1), (0, 2), (2, 2), (0, 3)]);
    }

    #[test]
    fn larger_blocks_are_those_that_a_larger_size_makes() {
        let all = [conversation("a", 3), conversation("b", 2)];
        let tokenizer = BuiltinTokenizer::new("o200k_base").unwrap();
        let of_size = |block_tokens| {
            let options = BlockOptions {
                tokenizer: Some(&tokenizer),
                tokenizer_name: "o200k",
                template: None,
                block_tokens,
                progress: &|| {},
            };
            PromptBlocks::of_workload(&all, &options).unwrap()
        };
        let lengths = |blocks: &PromptBlocks| -> Vec<(usize, usize)> {
            let requests = blocks.cache_requests(1);
            requests.iter().map(|one| (one.prompt_blocks.len(), one.left_blocks.len())).collect()
        };
        let (made, merged) = (of_size(48), of_size(16).in_blocks_of(48).unwrap());
        assert_eq!((lengths(&made), merged.block_tokens), (lengths(&merged), 48));
        assert!(lengths(&made)[0].0 > 0);
        assert!(of_size(16).in_blocks_of(24).is_none() && of_size(16).in_blocks_of(8).is_none());
    }

    #[test]
    fn a_prompt_begins_with_the_blocks_that_the_turn_before_left() {
        let blocks = blocks(&[conversation("a", 3)]);
        let requests = blocks.cache_requests(1);
        for pair in requests.windows(2) {
            assert!(pair[0].left_blocks.len() >= pair[0].prompt_blocks.len());
            assert!(pair[1].prompt_blocks.starts_with(pair[0].left_blocks));
            assert!(pair[1].prompt_tokens > pair[0].prompt_tokens);
        }
    }
}
