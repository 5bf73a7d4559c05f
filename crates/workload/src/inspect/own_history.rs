use turnbench_metrics::RequestOrder;

use super::cache::{EndlessCache, Known};
use crate::prompts::ConversationFacts;

/// Fills in what each prompt shares with the conversation's own earlier requests, and gives
/// the sum for each block size (of the requests with blocks).
pub(super) fn own_history(facts: &mut ConversationFacts, order: RequestOrder) -> Vec<(u32, u64)> {
    let mut sums: Vec<(u32, u64)> = Vec::new();
    let mut indices: Vec<usize> = (0..facts.requests.len()).collect();
    if order == RequestOrder::SentTime {
        indices.sort_by_key(|&index| facts.requests[index].sample.sent_at_ns);
    }
    let sizes = facts.sequences.first().map_or(0, |sequence| sequence.chains.len());
    for size in 0..sizes {
        let mut cache = EndlessCache::default();
        let mut known = vec![Known::default(); facts.sequences.len()];
        let mut sum = 0;
        for &index in &indices {
            let request = &mut facts.requests[index];
            let Some(sequence) = request.sequence else { continue };
            let chain = &facts.sequences[sequence].chains[size];
            let reused = cache.request(chain, &mut known[sequence], request.lengths());
            sum += reused;
            if size == 0 {
                request.sample.own_history_tokens = Some(reused);
            }
        }
        sums.push((facts.sequences[0].chains[size].block_size, sum));
    }
    sums
}
