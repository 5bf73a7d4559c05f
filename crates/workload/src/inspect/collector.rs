use std::collections::BTreeMap;

use turnbench_metrics::{BlockReuse, RequestOrder, TokenBasis, WorkloadSamples};
use turnbench_model::Conversation;

use super::cache::{EndlessCache, Known};
use crate::message_text::has_media;
use crate::prompts::{ConversationFacts, Sequence};

/// Takes conversations in, in file order, and requests in the order of the cache.
pub(super) struct Collector {
    samples: WorkloadSamples,
    caches: BTreeMap<u32, (EndlessCache, BlockReuse)>,
    /// Conversations whose requests wait for those of all others, to be sorted by time.
    waiting: Vec<ConversationFacts>,
    rejected: u64,
}

impl Collector {
    pub(super) fn new(order: RequestOrder) -> Self {
        Self {
            samples: WorkloadSamples {
                file: String::new(),
                format: String::new(),
                token_basis: TokenBasis::None,
                conversation_turns: Vec::new(),
                conversation_messages: Vec::new(),
                sub_conversations: 0,
                messages: BTreeMap::new(),
                messages_with_media: 0,
                message_tokens: BTreeMap::new(),
                requests: Vec::new(),
                reuse: Vec::new(),
                order,
            },
            caches: BTreeMap::new(),
            waiting: Vec::new(),
            rejected: 0,
        }
    }

    /// Conversations that the chat template rejected.
    pub(super) const fn rejected(&self) -> u64 {
        self.rejected
    }

    pub(super) fn add(
        &mut self,
        conversation: &Conversation,
        mut facts: ConversationFacts,
        own: &[(u32, u64)],
    ) {
        let samples = &mut self.samples;
        samples.conversation_turns.push(facts.requests.len() as u32);
        samples.sub_conversations += u64::from(conversation.parent.is_some());
        if !conversation.messages.is_empty() {
            samples.conversation_messages.push(conversation.messages.len() as u32);
        }
        for (index, message) in conversation.messages.iter().enumerate() {
            *samples.messages.entry(message.role.clone()).or_default() += 1;
            samples.messages_with_media += u64::from(has_media(message));
            if let Some(&tokens) = facts.message_tokens.get(index) {
                samples.message_tokens.entry(message.role.clone()).or_default().push(tokens);
            }
        }
        for &(block_size, tokens) in own {
            self.reuse(block_size).own_history_tokens += tokens;
        }
        self.rejected += u64::from(facts.rejected);
        match self.samples.order {
            RequestOrder::SentTime => self.waiting.push(facts),
            RequestOrder::File => {
                let mut known = known(&facts);
                for request in 0..facts.requests.len() {
                    self.request(&mut facts, request, &mut known);
                }
                self.take(facts);
            }
        }
    }

    /// Plays a request against the caches of each of its block sizes.
    fn request(&mut self, facts: &mut ConversationFacts, index: usize, known: &mut [Vec<Known>]) {
        let request = &mut facts.requests[index];
        let Some(sequence) = request.sequence else { return };
        let lengths = request.lengths();
        for (at, chain) in facts.sequences[sequence].chains.iter().enumerate() {
            let tail_tokens = lengths.prompt % u64::from(chain.block_size);
            let (cache, reuse) = entry(&mut self.caches, chain.block_size);
            let reused = cache.request(chain, &mut known[sequence][at], lengths);
            if let Some(Some(tail)) = request.tails.get(at) {
                cache.tail(*tail, tail_tokens);
            }
            cache.unnamed(request.unnamed_tokens);
            reuse.requests += 1;
            reuse.prompt_tokens += lengths.prompt;
            reuse.any_request_tokens += reused;
            reuse.answers_cached |= request.answer_known;
            if at == 0 {
                request.sample.any_request_tokens = Some(reused);
            }
        }
    }

    fn take(&mut self, facts: ConversationFacts) {
        self.samples.requests.extend(facts.requests.into_iter().map(|request| request.sample));
    }

    fn reuse(&mut self, block_size: u32) -> &mut BlockReuse {
        &mut entry(&mut self.caches, block_size).1
    }

    pub(super) fn finish(mut self, file: &str, format: &str, basis: TokenBasis) -> WorkloadSamples {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut known: Vec<_> = waiting.iter().map(known).collect();
        let mut order: Vec<(usize, usize)> = waiting
            .iter()
            .enumerate()
            .flat_map(|(at, facts)| (0..facts.requests.len()).map(move |request| (at, request)))
            .collect();
        // Requests of the same moment stay in file order.
        order.sort_by_key(|&(at, request)| waiting[at].requests[request].sample.sent_at_ns);
        for (at, request) in order {
            self.request(&mut waiting[at], request, &mut known[at]);
        }
        for facts in waiting {
            self.take(facts);
        }
        let reuse = |(size, (cache, reuse)): (u32, (EndlessCache, BlockReuse))| BlockReuse {
            distinct_tokens: cache.distinct_tokens(size),
            ..reuse
        };
        WorkloadSamples {
            file: file.to_owned(),
            format: format.to_owned(),
            token_basis: basis,
            reuse: self.caches.into_iter().map(reuse).collect(),
            ..self.samples
        }
    }
}

/// What is known of the sequences of a conversation that were not played yet.
fn known(facts: &ConversationFacts) -> Vec<Vec<Known>> {
    let of = |sequence: &Sequence| vec![Known::default(); sequence.chains.len()];
    facts.sequences.iter().map(of).collect()
}

fn entry(
    caches: &mut BTreeMap<u32, (EndlessCache, BlockReuse)>,
    block_size: u32,
) -> &mut (EndlessCache, BlockReuse) {
    caches.entry(block_size).or_insert_with(|| {
        let reuse = BlockReuse {
            block_size,
            requests: 0,
            prompt_tokens: 0,
            distinct_tokens: 0,
            own_history_tokens: 0,
            any_request_tokens: 0,
            own_history_ratio: None,
            any_request_ratio: None,
            answers_cached: false,
        };
        (EndlessCache::default(), reuse)
    })
}
