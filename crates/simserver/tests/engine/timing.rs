//! Exact simulated time: each number follows from the options by hand.

use std::fmt::Write as _;
use std::sync::Arc;

use turnbench_model::Nanos;
use turnbench_simserver::engine::{
    Engine, EngineError, EngineEvent, EngineOptions, EngineRequest, ReplaySource, RequestId,
};

/// 1 µs per prompt token, 100 µs per decoding step, 1 µs more per decoding request.
pub(crate) fn options() -> EngineOptions {
    EngineOptions {
        block_size: 4,
        kv_blocks: 101,
        max_num_batched_tokens: 64,
        max_num_seqs: 8,
        max_model_len: 400,
        prefill_tokens_per_sec: 1e6,
        decode_ns: 100_000,
        decode_ns_per_seq: 1_000,
        ..EngineOptions::default()
    }
}

/// A prompt of `len` ids that shares nothing with that of another `name`.
pub(crate) fn request(name: u32, len: u32, max_tokens: u32) -> EngineRequest {
    let prompt: Vec<u32> = (0..len).map(|id| name * 1000 + id).collect();
    let answer = (0..max_tokens).map(|id| name * 1000 + 500 + id).collect();
    EngineRequest::new(Arc::from(prompt), max_tokens, Box::new(ReplaySource::new(answer)))
}

/// Runs to the end; one line per event: time in µs, request, what.
pub(crate) fn finish(engine: &mut Engine) -> String {
    let mut events = Vec::new();
    while let Some(at) = engine.next_event_at() {
        engine.advance(at, &mut events);
    }
    let mut text = String::new();
    for event in &events {
        let what = match event {
            EngineEvent::Admitted { cached_tokens, tier_tokens, queue_ns, load_ns, .. } => {
                let mut what =
                    format!("admitted cached={cached_tokens} queued={}", micros(*queue_ns));
                if *load_ns > Nanos::ZERO {
                    write!(what, " loaded={tier_tokens:?} in {}", micros(*load_ns)).unwrap();
                }
                what
            }
            EngineEvent::Preempted { .. } => "preempted".to_owned(),
            EngineEvent::Resumed { cached_tokens, .. } => format!("resumed cached={cached_tokens}"),
            EngineEvent::Token { index, .. } => format!("token {index}"),
            EngineEvent::Finished { reason, output_tokens, .. } => {
                format!("{reason:?} after {output_tokens}")
            }
        };
        writeln!(text, "{} #{} {what}", micros(event.at()), event.id().0).unwrap();
    }
    text
}

fn micros(at: Nanos) -> String {
    assert_eq!(at.0 % 1000, 0);
    (at.0 / 1000).to_string()
}

fn check(change: impl FnOnce(&mut EngineOptions), arrivals: &[(u64, u32, u32, u32)], expect: &str) {
    let mut options = options();
    change(&mut options);
    let mut engine = Engine::new(options).unwrap();
    for (at, name, len, max_tokens) in arrivals {
        engine.submit(request(*name, *len, *max_tokens), Nanos(at * 1000)).unwrap();
    }
    let expect: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = finish(&mut engine);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, expect);
    assert_eq!(engine.stats().kv_usage_ratio, 0.0);
}

#[test]
fn a_cold_prompt_takes_its_prefill_and_each_further_token_a_decode_step() {
    check(
        |_| (),
        &[(7, 1, 40, 3)],
        "7 #0 admitted cached=0 queued=0
         47 #0 token 0
         148 #0 token 1
         249 #0 token 2
         249 #0 Length after 3",
    );
}

#[test]
fn a_repeated_prompt_pays_only_for_what_is_not_cached() {
    check(
        |_| (),
        &[(0, 1, 40, 1), (100, 1, 40, 1), (200, 1, 41, 1)],
        "0 #0 admitted cached=0 queued=0
         40 #0 token 0
         40 #0 Length after 1
         100 #1 admitted cached=36 queued=0
         104 #1 token 0
         104 #1 Length after 1
         200 #2 admitted cached=40 queued=0
         201 #2 token 0
         201 #2 Length after 1",
    );
}

#[test]
fn a_prompt_over_the_budget_is_spread_over_steps() {
    check(
        |_| (),
        &[(0, 1, 150, 1)],
        "0 #0 admitted cached=0 queued=0
         150 #0 token 0
         150 #0 Length after 1",
    );
    // Three steps of 64, 64 and 22 tokens; the second request shares the last one.
    check(
        |_| (),
        &[(0, 1, 150, 1), (10, 2, 42, 1)],
        "0 #0 admitted cached=0 queued=0
         128 #1 admitted cached=0 queued=118
         192 #0 token 0
         192 #0 Length after 1
         192 #1 token 0
         192 #1 Length after 1",
    );
}

#[test]
fn decoding_goes_first_and_prefill_gets_the_rest_of_the_budget() {
    // From 10 on: 1 decoding + 63 prompt tokens in a step, then 1 + 7.
    check(
        |_| (),
        &[(0, 1, 10, 4), (1, 2, 70, 1)],
        "0 #0 admitted cached=0 queued=0
         10 #0 token 0
         10 #1 admitted cached=0 queued=9
         174 #0 token 1
         282 #0 token 2
         282 #1 token 0
         282 #1 Length after 1
         383 #0 token 3
         383 #0 Length after 4",
    );
}

#[test]
fn a_step_costs_more_the_more_requests_decode() {
    check(
        |_| (),
        &[(0, 1, 10, 2), (0, 2, 10, 2), (0, 3, 10, 2)],
        "0 #0 admitted cached=0 queued=0
         0 #1 admitted cached=0 queued=0
         0 #2 admitted cached=0 queued=0
         30 #0 token 0
         30 #1 token 0
         30 #2 token 0
         133 #0 token 1
         133 #0 Length after 2
         133 #1 token 1
         133 #1 Length after 2
         133 #2 token 1
         133 #2 Length after 2",
    );
}

#[test]
fn equal_prompts_scheduled_together_hit_at_once() {
    check(
        |_| (),
        &[(0, 1, 40, 1), (0, 1, 40, 1)],
        "0 #0 admitted cached=0 queued=0
         0 #1 admitted cached=36 queued=0
         44 #0 token 0
         44 #0 Length after 1
         44 #1 token 0
         44 #1 Length after 1",
    );
}

#[test]
fn max_num_seqs_makes_the_rest_wait() {
    check(
        |options| options.max_num_seqs = 1,
        &[(0, 1, 10, 2), (0, 2, 10, 1)],
        "0 #0 admitted cached=0 queued=0
         10 #0 token 0
         111 #0 token 1
         111 #0 Length after 2
         111 #1 admitted cached=0 queued=111
         121 #1 token 0
         121 #1 Length after 1",
    );
}

#[test]
fn the_head_of_the_queue_waits_for_its_whole_prompt_and_nothing_overtakes_it() {
    // 10 usable blocks: 6 are held, the second prompt needs 5, the third 1.
    check(
        |options| (options.kv_blocks, options.max_model_len) = (11, 40),
        &[(0, 1, 22, 2), (0, 2, 20, 1), (0, 3, 4, 1)],
        "0 #0 admitted cached=0 queued=0
         22 #0 token 0
         123 #0 token 1
         123 #0 Length after 2
         123 #1 admitted cached=0 queued=123
         123 #2 admitted cached=0 queued=123
         147 #1 token 0
         147 #1 Length after 1
         147 #2 token 0
         147 #2 Length after 1",
    );
}

#[test]
fn out_of_blocks_the_youngest_request_is_preempted_and_finds_its_blocks_again() {
    // 5 usable blocks, two prompts of 8: the first to need a third block takes the last free one,
    // the second finds none and gives up its own. It needs 3 to come back, 2 are free until the
    // first has ended.
    check(
        |options| (options.kv_blocks, options.max_model_len) = (6, 20),
        &[(0, 1, 8, 3), (0, 2, 8, 2)],
        "0 #0 admitted cached=0 queued=0
         0 #1 admitted cached=0 queued=0
         16 #0 token 0
         16 #1 token 0
         16 #1 preempted
         117 #0 token 1
         218 #0 token 2
         218 #0 Length after 3
         218 #1 resumed cached=8
         219 #1 token 1
         219 #1 Length after 2",
    );
}

#[test]
fn without_chunked_prefill_a_prompt_waits_for_room_in_one_step() {
    check(
        |options| {
            options.chunked_prefill = false;
            (options.max_num_batched_tokens, options.max_model_len) = (64, 64);
        },
        &[(0, 1, 40, 1), (0, 2, 40, 1)],
        "0 #0 admitted cached=0 queued=0
         40 #0 token 0
         40 #0 Length after 1
         40 #1 admitted cached=0 queued=40
         80 #1 token 0
         80 #1 Length after 1",
    );
}

#[test]
fn without_prefix_caching_nothing_hits_or_counts() {
    let mut engine = Engine::new(EngineOptions { prefix_caching: false, ..options() }).unwrap();
    for _ in 0..2 {
        engine.submit(request(1, 40, 1), Nanos::ZERO).unwrap();
    }
    finish(&mut engine);
    let stats = engine.stats();
    assert_eq!((stats.prefix_cache_queries, stats.prompt_tokens), (0, 80));
    assert_eq!(stats.prompt_tokens_cached, 0);
}

#[test]
fn an_abort_takes_effect_at_the_end_of_the_step_and_its_token_is_lost() {
    let mut engine = Engine::new(options()).unwrap();
    let id = engine.submit(request(1, 10, 9), Nanos::ZERO).unwrap();
    let mut events = Vec::new();
    engine.advance(Nanos(10_000), &mut events);
    engine.abort(id, Nanos(50_000));
    engine.abort(RequestId(99), Nanos(50_000));
    assert_eq!(engine.next_event_at(), Some(Nanos(111_000)));
    assert_eq!(finish(&mut engine), "111 #0 Abort after 1\n");
    let stats = engine.stats();
    assert_eq!((stats.aborted, stats.generation_tokens, stats.prompt_tokens), (1, 1, 10));
    assert_eq!((stats.success_stop, stats.success_length, stats.running), (0, 0, 0));
}

#[test]
fn a_waiting_request_can_be_aborted_while_nothing_runs() {
    let mut engine = Engine::new(options()).unwrap();
    let id = engine.submit(request(1, 10, 9), Nanos(5_000)).unwrap();
    engine.abort(id, Nanos(5_000));
    assert_eq!(finish(&mut engine), "5 #0 Abort after 0\n");
    engine.abort(id, Nanos(9_000));
    assert_eq!(finish(&mut engine), "");
    assert_eq!(engine.stats().aborted, 1);
}

#[test]
fn the_cache_is_reset_only_while_no_request_holds_a_block() {
    let mut engine = Engine::new(options()).unwrap();
    engine.submit(request(1, 40, 2), Nanos::ZERO).unwrap();
    engine.advance(Nanos::ZERO, &mut Vec::new());
    assert_eq!(engine.stats().kv_usage_ratio, 0.1);
    assert!(!engine.reset_prefix_cache());
    finish(&mut engine);
    assert!(engine.reset_prefix_cache());
    engine.submit(request(1, 40, 1), Nanos::ZERO).unwrap();
    assert!(finish(&mut engine).contains("admitted cached=0"));
}

#[test]
fn answers_are_cut_at_max_model_len_and_prompts_without_room_are_refused() {
    let mut engine = Engine::new(options()).unwrap();
    engine.submit(request(1, 398, 50), Nanos::ZERO).unwrap();
    assert!(finish(&mut engine).contains("Length after 2"));
    let refused = engine.submit(request(1, 400, 1), Nanos::ZERO);
    let expect = EngineError::PromptTooLong { prompt_tokens: 400, max_model_len: 400 };
    assert_eq!(refused, Err(expect));
    assert_eq!(engine.submit(request(1, 4, 0), Nanos::ZERO), Err(EngineError::NoOutput));
    assert_eq!(engine.submit(request(1, 0, 1), Nanos::ZERO), Err(EngineError::EmptyPrompt));
}
