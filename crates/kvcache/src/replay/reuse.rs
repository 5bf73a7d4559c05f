use super::miss_curve::MissCurve;
use super::stack_distances::StackDistances;
use super::timeline::{CacheRequest, Happening, each_happening};
use crate::key_map::{KeySet, mixed};

/// How much of a prompt was there to be reused, in tokens. Every figure is a whole number of blocks, and
/// leaves at least one token of the prompt to compute, as vLLM does (V1, 0.32).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestReuse {
    /// Its place among the requests given.
    pub request: usize,
    /// From an endless cache: blocks that any earlier request had left.
    pub ideal_tokens: u64,
    /// From an endless cache: blocks that earlier requests of the same conversation had left.
    pub own_tokens: u64,
    /// From an LRU cache of each of the capacities asked for, in their order.
    pub finite_tokens: Vec<u64>,
    /// The least capacity, in blocks, of an LRU cache that serves all of the ideal; `None` without
    /// any.
    pub needed_blocks: Option<u64>,
}

impl RequestReuse {
    /// From an endless cache: what only other conversations had left.
    pub const fn cross_tokens(&self) -> u64 {
        self.ideal_tokens.saturating_sub(self.own_tokens)
    }
}

/// What was possible for a set of requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reuse {
    /// In the order of sending.
    pub requests: Vec<RequestReuse>,
    /// Of all blocks that may be looked up: every full block of a prompt but one that holds its
    /// last token.
    pub curve: MissCurve,
    /// Distinct blocks that were left: what an endless cache holds in the end.
    pub left_blocks: u64,
}

/// Replays requests, in any order, against an endless cache and LRU caches of `capacities` blocks.
///
/// A block exists from its request's first token on (of the answer: from its end on), so that
/// requests under way together don't serve each other. It is used when its request's prompt is done,
/// and when the request ends; the end of a prompt before its beginning, so that of one prompt the last
/// blocks are evicted first, as vLLM does. (A server also keeps what it has found from then on, for the
/// time of the prefill; which blocks those are depends on the capacity, so that no one pass could tell.)
pub fn reuse(requests: &[CacheRequest<'_>], block_tokens: u32, capacities: &[u64]) -> Reuse {
    let mut replay = Replay {
        requests,
        block_tokens: u64::from(block_tokens.max(1)),
        capacities,
        left: KeySet::default(),
        left_by_conversation: KeySet::default(),
        stack: StackDistances::new(),
        reuse: Reuse {
            requests: Vec::with_capacity(requests.len()),
            curve: MissCurve::new(),
            left_blocks: 0,
        },
    };
    each_happening(requests, |happening, index| match happening {
        Happening::Sent => replay.look_up(index),
        Happening::Prefilled => replay.leave(index, requests[index].prompt_blocks),
        Happening::Ended => replay.leave(index, requests[index].left_blocks),
    });
    replay.reuse.left_blocks = replay.left.len() as u64;
    replay.reuse
}

struct Replay<'a> {
    requests: &'a [CacheRequest<'a>],
    block_tokens: u64,
    capacities: &'a [u64],
    /// Blocks that exist.
    left: KeySet,
    /// The same with the conversation in the name.
    left_by_conversation: KeySet,
    stack: StackDistances,
    reuse: Reuse,
}

impl Replay<'_> {
    fn look_up(&mut self, index: usize) {
        let request = &self.requests[index];
        let blocks = request.usable_blocks(self.block_tokens);
        let ideal = blocks.iter().take_while(|block| self.left.contains(block)).count();
        let own_name = |block| own_name(request.conversation, block);
        let own = blocks
            .iter()
            .take_while(|&&block| self.left_by_conversation.contains(&own_name(block)));
        let own_tokens = own.count() as u64 * self.block_tokens;
        let mut finite = vec![0; self.capacities.len()];
        let mut needed_blocks = None;
        for (place, &block) in blocks.iter().enumerate() {
            let distance = self.stack.distance(block).filter(|_| place < ideal);
            self.reuse.curve.add(distance);
            let Some(distance) = distance else { continue };
            needed_blocks = needed_blocks.max(Some(distance));
            for (blocks_found, &capacity) in finite.iter_mut().zip(self.capacities) {
                // A block is never evicted before one that follows it: those found are a prefix.
                *blocks_found += u64::from(distance <= capacity);
            }
        }
        self.reuse.requests.push(RequestReuse {
            request: index,
            ideal_tokens: ideal as u64 * self.block_tokens,
            own_tokens,
            finite_tokens: finite.iter().map(|blocks| blocks * self.block_tokens).collect(),
            needed_blocks,
        });
    }

    /// Blocks come into being.
    fn leave(&mut self, index: usize, blocks: &[u64]) {
        let conversation = self.requests[index].conversation;
        for &block in blocks.iter().rev() {
            self.stack.touch(block);
            self.left.insert(block);
            self.left_by_conversation.insert(own_name(conversation, block));
        }
    }
}

/// A block's name among those of its conversation.
const fn own_name(conversation: u32, block: u64) -> u64 {
    mixed(block ^ mixed(conversation as u64))
}
