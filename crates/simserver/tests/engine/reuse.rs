//! What `turnbench_kvcache::reuse` says was possible, against what a real vLLM server reported.

use turnbench_kvcache::{BlockHash, CacheRequest, RequestReuse, reuse};
use turnbench_model::Nanos;

use crate::recording::{FILES, Recorded, Run, runs};

/// Names of the blocks of a request's prompt, and of what it left.
struct Blocks {
    prompt: Vec<u64>,
    left: Vec<u64>,
}

impl Blocks {
    fn of(request: &Recorded, block_tokens: u32) -> Self {
        let root = BlockHash::root(request.salt.as_deref());
        let answer = &request.outputs[0];
        let computed = [&request.prompt[..], &answer[..answer.len().saturating_sub(1)]].concat();
        Self {
            prompt: root.names(&request.prompt, block_tokens),
            left: root.names(&computed, block_tokens),
        }
    }
}

/// What was possible for each request of a run with one request at a time, with a cache of its
/// server's size.
fn possible(run: &Run) -> Vec<RequestReuse> {
    let block_tokens = run.options.block_size;
    let blocks: Vec<Blocks> =
        run.requests.iter().map(|request| Blocks::of(request, block_tokens)).collect();
    let requests = run.requests.iter().zip(&blocks).enumerate();
    let requests = requests.map(|(place, (request, blocks))| {
        let at = |step: u64| Nanos(place as u64 * 3 + step);
        CacheRequest {
            conversation: 0,
            turn: 1,
            prompt_tokens: request.prompt.len() as u64,
            prompt_blocks: &blocks.prompt,
            left_blocks: &blocks.left,
            sent: at(0),
            prefilled: at(1),
            ended: at(2),
        }
    });
    // One block of vLLM's is reserved, and one more holds the unnamed last block of a request under way.
    let named = u64::from(run.options.kv_blocks) - 2;
    reuse(&requests.collect::<Vec<_>>(), block_tokens, &[named]).requests
}

/// Requests of which all is known: one answer, whole, and looked up in the cache.
fn is_plain(run: &Run) -> bool {
    run.requests.iter().all(|request| {
        request.outputs.len() == 1
            && request.aborted_after.is_none()
            && !request.skip_prefix_lookup
            && request.cached.is_some()
    })
}

#[test]
fn a_real_server_reported_what_was_possible() {
    let (mut compared, mut nothing_evicted, mut exact) = (0, 0, 0);
    for file in FILES.into_iter().filter(|&file| file != "off32") {
        for run in runs(file).iter().filter(|run| !run.concurrent && is_plain(run)) {
            for (request, possible) in run.requests.iter().zip(&possible(run)) {
                let (reported, finite) = (request.cached.unwrap(), possible.finite_tokens[0]);
                assert!(reported <= possible.ideal_tokens, "{file} {} {}", run.name, request.seq);
                if finite == possible.ideal_tokens {
                    nothing_evicted += 1;
                    assert_eq!(reported, finite, "{file} {} {}", run.name, request.seq);
                }
                compared += 1;
                exact += u32::from(reported == finite);
            }
        }
    }
    // Three requests of the run `revisit` found one and four blocks less, and one block more. Why is not
    // known; an engine that allots the unnamed blocks of requests, too, predicts them (`sequential`).
    assert_eq!((compared, nothing_evicted, exact), (1_874, 1_514, 1_871));
}
