use std::cmp::Reverse;
use std::collections::BinaryHeap;

use turnbench_model::Nanos;

/// A request as a prefix cache sees it.
#[derive(Clone, Copy, Debug)]
pub struct CacheRequest<'a> {
    /// Its conversation's number.
    pub conversation: u32,
    /// Its turn in the conversation, from 1.
    pub turn: u32,
    /// Tokens of its prompt.
    pub prompt_tokens: u64,
    /// Chained names of the full blocks of its prompt, as [`crate::BlockHash::name`] gives them.
    pub prompt_blocks: &'a [u64],
    /// Chained names of all full blocks that it leaves: of its prompt and its answer, whose last token
    /// is never computed. Without its answer's tokens: those of the prompt.
    pub left_blocks: &'a [u64],
    /// When it was sent, and so looked up.
    pub sent: Nanos,
    /// When its prompt's blocks exist: its first token. Not before `sent`.
    pub prefilled: Nanos,
    /// When its answer's blocks exist: its end. Not before `prefilled`.
    pub ended: Nanos,
}

impl<'a> CacheRequest<'a> {
    /// The blocks that are looked up: all but one that holds the prompt's last token, which is
    /// computed in any case.
    pub(super) fn usable_blocks(&self, block_tokens: u64) -> &'a [u64] {
        let usable = self.prompt_tokens.saturating_sub(1) / block_tokens.max(1);
        let usable = usize::try_from(usable).unwrap_or(usize::MAX);
        &self.prompt_blocks[..self.prompt_blocks.len().min(usable)]
    }
}

/// What happens to a cache.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Happening {
    // In this order where they happen at once.
    Ended,
    Prefilled,
    Sent,
}

/// Tells, in order of time, what happens to which request. Requests sent at once come in the order in
/// which they are given.
pub(super) fn each_happening(
    requests: &[CacheRequest<'_>],
    mut tell: impl FnMut(Happening, usize),
) {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&index| requests[index].sent);
    // What is still to come of requests under way, the earliest first.
    let mut coming: BinaryHeap<Reverse<(Nanos, Happening, usize)>> = BinaryHeap::new();
    for index in order {
        let CacheRequest { sent, prefilled, ended, .. } = requests[index];
        while let Some(&Reverse(next)) = coming.peek()
            && next < (sent, Happening::Sent, index)
        {
            coming.pop();
            tell(next.1, next.2);
        }
        tell(Happening::Sent, index);
        coming.push(Reverse((prefilled, Happening::Prefilled, index)));
        coming.push(Reverse((ended, Happening::Ended, index)));
    }
}
