//! Tiers in exact simulated time. A block is 4,000 bytes, and the host moves one in 4 µs.

use turnbench_model::Nanos;
use turnbench_simserver::engine::{
    Engine, EngineOptions, TierKind, TierOptions, TierStats, TransferStats,
};

use crate::timing::{finish, options, request};

const BLOCK_BYTES: u64 = 4_000;

fn tier(kind: TierKind, blocks: u64, bytes_per_sec: f64) -> TierOptions {
    TierOptions::new(kind, blocks * BLOCK_BYTES, bytes_per_sec)
}

fn host(blocks: u64) -> TierOptions {
    tier(TierKind::Host, blocks, 1e9)
}

fn with_tiers(tiers: Vec<TierOptions>) -> EngineOptions {
    EngineOptions { kv_bytes_per_token: 1_000, tiers, ..options() }
}

/// One call of a script.
enum Do {
    /// Requests of (time in µs, name, prompt tokens), one answer token each, to the end of all.
    Run(&'static [(u64, u32, u32)]),
    /// Empties the device.
    Reset,
}

/// Runs the script; the events of all requests must be these, in the form of `timing`.
fn check(options: EngineOptions, script: &[Do], expect: &str) -> Engine {
    let mut engine = Engine::new(options).unwrap();
    let mut text = String::new();
    for step in script {
        match step {
            Do::Run(requests) => {
                for (at, name, len) in *requests {
                    engine.submit(request(*name, *len, 1), Nanos(at * 1000)).unwrap();
                }
                text.push_str(&finish(&mut engine));
            }
            Do::Reset => assert!(engine.reset_prefix_cache()),
        }
    }
    // Each answer is its first token: its end says nothing more.
    let lines = text.lines().filter(|line| !line.contains("Length after"));
    let expect = expect.lines().map(str::trim).filter(|line| !line.is_empty());
    assert_eq!(lines.collect::<Vec<_>>(), expect.collect::<Vec<_>>());
    assert_eq!(engine.stats().kv_usage_ratio, 0.0);
    engine
}

fn stats(engine: &Engine) -> Vec<TierStats> {
    engine.tier_stats(Nanos(u64::MAX))
}

#[test]
fn what_the_device_evicted_is_loaded_in_latency_and_bytes_by_speed() {
    let latency = Nanos(10_000);
    let options = EngineOptions {
        kv_blocks: 11,
        max_model_len: 40,
        ..with_tiers(vec![TierOptions { latency, ..host(100) }])
    };
    // Nine full blocks each; the device has ten.
    let engine = check(
        options,
        &[Do::Run(&[(0, 1, 37), (100, 2, 37), (200, 1, 37)])],
        "0 #0 admitted cached=0 queued=0
         37 #0 token 0
         100 #1 admitted cached=0 queued=0
         137 #1 token 0
         246 #2 admitted cached=36 queued=46 loaded=[36, 0, 0] in 46
         247 #2 token 0",
    );
    let engine_stats = engine.stats();
    assert_eq!((engine_stats.prefix_cache_queries, engine_stats.prefix_cache_hits), (111, 0));
    assert_eq!(engine_stats.external_prefix_cache_queries, 111);
    assert_eq!(engine_stats.external_prefix_cache_hits, 36);
    assert_eq!((engine_stats.prompt_tokens, engine_stats.prompt_tokens_cached), (111, 36));
    assert_eq!(engine_stats.prompt_tokens_by_tier, [36, 0, 0]);
    let mut count_by_size = [0; 11];
    count_by_size[0] = 1;
    let loads = TransferStats {
        count: 1,
        bytes: 36_000,
        busy_ns: Nanos(46_000),
        count_by_size,
        moving_blocks: 0,
    };
    count_by_size[0] = 2;
    let stores =
        TransferStats { count: 2, bytes: 72_000, busy_ns: Nanos(72_000), count_by_size, ..loads };
    assert_eq!(
        stats(&engine),
        [TierStats {
            kind: TierKind::Host,
            capacity_blocks: 100,
            held_blocks: 18,
            evicted_blocks: 0,
            refused_stores: 0,
            // The first two found nothing at their first block.
            queried_blocks: 11,
            hit_blocks: 9,
            loads,
            stores,
        }]
    );
}

#[test]
fn loads_that_run_together_share_the_speed_and_others_go_on() {
    check(
        with_tiers(vec![host(100)]),
        &[
            Do::Run(&[(0, 1, 37), (50, 2, 37)]),
            Do::Reset,
            Do::Run(&[(300, 1, 37), (300, 2, 37), (300, 3, 20)]),
        ],
        "0 #0 admitted cached=0 queued=0
         37 #0 token 0
         50 #1 admitted cached=0 queued=0
         87 #1 token 0
         300 #4 admitted cached=0 queued=0
         320 #4 token 0
         372 #2 admitted cached=36 queued=72 loaded=[36, 0, 0] in 72
         372 #3 admitted cached=36 queued=72 loaded=[36, 0, 0] in 72
         374 #2 token 0
         374 #3 token 0",
    );
}

#[test]
fn a_load_that_ends_within_a_step_waits_for_its_end() {
    check(
        with_tiers(vec![host(100)]),
        &[Do::Run(&[(0, 1, 9)]), Do::Reset, Do::Run(&[(100, 1, 9), (100, 2, 30)])],
        "0 #0 admitted cached=0 queued=0
         9 #0 token 0
         100 #2 admitted cached=0 queued=0
         130 #2 token 0
         130 #1 admitted cached=8 queued=30 loaded=[8, 0, 0] in 8
         131 #1 token 0",
    );
}

#[test]
fn what_is_on_the_device_is_not_loaded_and_the_last_token_never_is() {
    check(
        with_tiers(vec![host(100)]),
        &[
            Do::Run(&[(0, 1, 40)]),
            Do::Reset,
            // Three of four blocks are loaded; then the device has them.
            Do::Run(&[(300, 1, 16), (400, 1, 40)]),
        ],
        "0 #0 admitted cached=0 queued=0
         40 #0 token 0
         312 #1 admitted cached=12 queued=12 loaded=[12, 0, 0] in 12
         316 #1 token 0
         420 #2 admitted cached=36 queued=20 loaded=[20, 0, 0] in 20
         424 #2 token 0",
    );
}

#[test]
fn a_block_is_not_found_before_its_store_is_done() {
    // Stored from 37 to 73.
    check(
        with_tiers(vec![host(100)]),
        &[
            Do::Run(&[(0, 1, 37)]),
            Do::Reset,
            Do::Run(&[(72, 1, 37)]),
            Do::Reset,
            Do::Run(&[(110, 1, 37)]),
        ],
        "0 #0 admitted cached=0 queued=0
         37 #0 token 0
         72 #1 admitted cached=0 queued=0
         109 #1 token 0
         146 #2 admitted cached=36 queued=36 loaded=[36, 0, 0] in 36
         147 #2 token 0",
    );
}

#[test]
fn a_full_tier_evicts_the_tail_of_what_was_not_used_for_longest() {
    // Five blocks each: the second request takes one from the first, its last.
    let engine = check(
        with_tiers(vec![host(9)]),
        &[
            Do::Run(&[(0, 1, 21), (100, 2, 21)]),
            Do::Reset,
            Do::Run(&[(200, 1, 21)]),
            Do::Reset,
            // Loading and storing renewed the first; the second lost its own tail to it.
            Do::Run(&[(300, 2, 21)]),
        ],
        "0 #0 admitted cached=0 queued=0
         21 #0 token 0
         100 #1 admitted cached=0 queued=0
         121 #1 token 0
         216 #2 admitted cached=16 queued=16 loaded=[16, 0, 0] in 16
         221 #2 token 0
         316 #3 admitted cached=16 queued=16 loaded=[16, 0, 0] in 16
         321 #3 token 0",
    );
    assert_eq!((stats(&engine)[0].held_blocks, stats(&engine)[0].evicted_blocks), (9, 3));
}

#[test]
fn a_block_counts_for_the_first_tier_that_has_it_and_tiers_load_at_the_same_time() {
    let engine = check(
        with_tiers(vec![host(9), tier(TierKind::Disk, 100, 1e8)]),
        &[
            // The disk takes 40 µs for a block: 200 for a request.
            Do::Run(&[(0, 1, 21), (300, 2, 21)]),
            Do::Reset,
            Do::Run(&[(1000, 1, 21)]),
            Do::Reset,
            Do::Run(&[(2000, 1, 21)]),
        ],
        "0 #0 admitted cached=0 queued=0
         21 #0 token 0
         300 #1 admitted cached=0 queued=0
         321 #1 token 0
         1040 #2 admitted cached=20 queued=40 loaded=[16, 4, 0] in 40
         1041 #2 token 0
         2020 #3 admitted cached=20 queued=20 loaded=[20, 0, 0] in 20
         2021 #3 token 0",
    );
    let queried: Vec<_> =
        stats(&engine).iter().map(|tier| (tier.queried_blocks, tier.hit_blocks)).collect();
    // Two misses at the first block; then five blocks, of which the host lacked one; then five.
    assert_eq!(queried, [(12, 9), (3, 1)]);
}

#[test]
fn a_prompt_longer_than_the_tier_leaves_its_head_there() {
    let engine = check(
        with_tiers(vec![host(3)]),
        &[Do::Run(&[(0, 1, 21)]), Do::Reset, Do::Run(&[(100, 1, 21)])],
        "0 #0 admitted cached=0 queued=0
         21 #0 token 0
         112 #1 admitted cached=12 queued=12 loaded=[12, 0, 0] in 12
         121 #1 token 0",
    );
    assert_eq!((stats(&engine)[0].held_blocks, stats(&engine)[0].refused_stores), (3, 2));
}

#[test]
fn a_tier_that_keeps_nothing_takes_every_store_and_finds_nothing() {
    let engine = check(
        with_tiers(vec![TierOptions { keeps_nothing: true, ..host(100) }]),
        &[Do::Run(&[(0, 1, 37)]), Do::Reset, Do::Run(&[(200, 1, 37)])],
        "0 #0 admitted cached=0 queued=0
         37 #0 token 0
         200 #1 admitted cached=0 queued=0
         237 #1 token 0",
    );
    let tier = stats(&engine)[0];
    assert_eq!((tier.stores.bytes, tier.held_blocks, tier.hit_blocks), (72_000, 0, 0));
}

#[test]
fn answers_are_stored_block_by_block() {
    let mut engine = Engine::new(with_tiers(vec![host(100)])).unwrap();
    // 6 + 7 tokens, of which the last is not computed: three blocks.
    engine.submit(request(1, 6, 7), Nanos::ZERO).unwrap();
    finish(&mut engine);
    let tier = stats(&engine)[0];
    assert_eq!((tier.held_blocks, tier.stores.count), (3, 3));
}

#[test]
fn an_aborted_load_gives_back_blocks_and_speed() {
    let mut engine = Engine::new(with_tiers(vec![host(100)])).unwrap();
    for name in [1, 2] {
        engine.submit(request(name, 37, 1), Nanos(u64::from(name) * 100_000)).unwrap();
        finish(&mut engine);
    }
    assert!(engine.reset_prefix_cache());
    let first = engine.submit(request(1, 37, 1), Nanos(500_000)).unwrap();
    engine.submit(request(2, 37, 1), Nanos(500_000)).unwrap();
    engine.abort(first, Nanos(520_000));
    // 10 µs' worth until then, the other 26 alone.
    assert_eq!(
        finish(&mut engine),
        "520 #2 Abort after 0\n\
         546 #3 admitted cached=36 queued=46 loaded=[36, 0, 0] in 46\n\
         547 #3 token 0\n\
         547 #3 Length after 1\n"
    );
    assert_eq!((stats(&engine)[0].loads.count, stats(&engine)[0].loads.moving_blocks), (1, 0));
    assert_eq!(engine.stats().kv_usage_ratio, 0.0);
}

#[test]
fn stores_and_loads_show_while_they_run() {
    let mut engine = Engine::new(with_tiers(vec![host(100)])).unwrap();
    engine.submit(request(1, 37, 1), Nanos::ZERO).unwrap();
    finish(&mut engine);
    let moving = |engine: &Engine, at| {
        let tier = engine.tier_stats(Nanos(at))[0];
        (tier.stores.moving_blocks, tier.stores.bytes, tier.loads.moving_blocks, tier.loads.bytes)
    };
    assert_eq!(moving(&engine, 72_999), (9, 0, 0, 0));
    assert_eq!(moving(&engine, 73_000), (0, 36_000, 0, 0));
    assert!(engine.reset_prefix_cache());
    engine.submit(request(1, 37, 1), Nanos(100_000)).unwrap();
    let mut events = Vec::new();
    engine.advance(Nanos(120_000), &mut events);
    assert_eq!(moving(&engine, 120_000), (0, 36_000, 9, 0));
    assert_eq!((engine.stats().waiting, engine.stats().loading), (1, 1));
    assert!(!engine.reset_prefix_cache(), "a load holds blocks");
    engine.advance(Nanos(136_000), &mut events);
    assert_eq!(moving(&engine, 136_000), (0, 36_000, 0, 36_000));
    assert_eq!((engine.stats().waiting, engine.stats().running), (0, 1));
}
