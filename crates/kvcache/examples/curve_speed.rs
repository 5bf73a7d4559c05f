//! How long the miss curve of 10 million block accesses takes, exact, and that of a billion, sampled,
//! on one core. The blocks are those of growing conversations, 100 of which are under way at a time.
//!
//! `cargo run --release -p turnbench-kvcache --example curve_speed`

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use turnbench_kvcache::{MissCurve, SampledCurve, StackDistances};
use turnbench_model::{Clock, MonotonicClock, Nanos};

const EXACT_ACCESSES: u64 = 10_000_000;
const SAMPLED_ACCESSES: u64 = 1_000_000_000;
/// Blocks in the sample.
const SAMPLE: usize = 32_768;
/// Conversations under way at a time.
const OPEN: u64 = 100;
/// Turns of each conversation.
const TURNS: u64 = 8;
/// Blocks that a turn adds.
const TURN_BLOCKS: u64 = 40;

fn main() {
    let clock = MonotonicClock::start();
    let (mut stack, mut curve) = (StackDistances::new(), MissCurve::new());
    let began = clock.now();
    each_access(EXACT_ACCESSES, |block| curve.add(stack.access(block)));
    show("exact", EXACT_ACCESSES, clock.now().since(began));
    println!("  {} blocks, {} reuses", stack.blocks_count(), curve.reuses());

    let mut curve = SampledCurve::new(SAMPLE);
    let began = clock.now();
    each_access(SAMPLED_ACCESSES, |block| curve.access(block));
    show("sampled", SAMPLED_ACCESSES, clock.now().since(began));
    let estimate = curve.miss_ratio(OPEN * TURNS * TURN_BLOCKS / 2);
    println!(
        "  {:.5} of the blocks, misses {:.4} ± {:.4}",
        curve.sampling_rate(),
        estimate.value,
        estimate.error
    );
}

fn show(what: &str, accesses: u64, took: Nanos) {
    let seconds = took.0 as f64 / 1e9;
    println!(
        "{what}: {accesses} accesses in {seconds:.2} s, {:.1} ns each",
        seconds * 1e9 / accesses as f64
    );
}

/// Round after round, each open conversation asks its next turn, whose prompt is all it had before and
/// 40 blocks more.
fn each_access(accesses: u64, mut each: impl FnMut(u64)) {
    let mut left = accesses;
    let blocks_of_conversation = TURNS * TURN_BLOCKS;
    for round in 0.. {
        for place in 0..OPEN {
            let turn = (round + place) % TURNS;
            let conversation = (round + place) / TURNS * OPEN + place;
            for block in 0..(turn + 1) * TURN_BLOCKS {
                if left == 0 {
                    return;
                }
                left -= 1;
                each(conversation * blocks_of_conversation + block);
            }
        }
    }
}
