use turnbench_kvcache::{CacheRequest, RequestReuse, reuse};
use turnbench_metrics::{CacheSize, PromptFacts, ReusableTokens, RunReuse};

use crate::BlocksOfRun;
use crate::cache_analysis::{Scale, needed_capacities};

/// Replays the requests of a run, as they were sent and answered, against an endless cache, and against an
/// LRU cache of `device_capacity_tokens` where that is known.
pub fn run_reuse(
    run: &BlocksOfRun,
    prompts: PromptFacts,
    device_capacity_tokens: Option<u64>,
    kv_bytes_per_token: Option<f64>,
) -> RunReuse {
    let block_tokens = run.blocks.block_tokens;
    let in_blocks = |tokens: u64| tokens / u64::from(block_tokens.max(1));
    let capacities = Vec::from_iter(device_capacity_tokens.map(in_blocks));
    // Times are those of the records: nobody takes turns.
    let requests = run.blocks.cache_requests(1);
    let found = reuse(&requests, block_tokens, &capacities);
    let of_request = by_request(&found.requests);
    let late = requests.iter().map(|request| CacheRequest { sent: request.prefilled, ..*request });
    let late = reuse(&late.collect::<Vec<_>>(), block_tokens, &[]);
    let late_of_request = by_request(&late.requests);
    let tokens = |blocks: u64| blocks * u64::from(block_tokens);
    let reusable = |place: usize| {
        let one = of_request[place]?;
        let request = &run.blocks.requests[place];
        Some(ReusableTokens {
            prompt: request.prompt_tokens,
            ideal: one.ideal_tokens,
            late_ideal: late_of_request[place]?.ideal_tokens,
            own_history: one.own_tokens,
            lru: one.finite_tokens.first().copied(),
            needed_cache: one.needed_blocks.map(tokens),
            rounded: request.continued_tokens.saturating_sub(one.ideal_tokens),
        })
    };
    let size = |blocks| CacheSize::of_blocks(blocks, block_tokens, kv_bytes_per_token);
    RunReuse {
        prompts,
        device_capacity_tokens,
        distinct_tokens: tokens(found.left_blocks),
        needed: needed_capacities(&found.curve, &Scale::whole(run.blocks.block_tokens), size),
        requests: run.of_record.iter().map(|place| place.and_then(reusable)).collect(),
    }
}

/// In the order of the requests given.
fn by_request(found: &[RequestReuse]) -> Vec<Option<&RequestReuse>> {
    let mut of_request = vec![None; found.len()];
    for one in found {
        of_request[one.request] = Some(one);
    }
    of_request
}
