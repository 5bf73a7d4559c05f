//! Miss counts against those that an independent simulator, libCacheSim, has recorded.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::Path;

use serde_json::Value;
use turnbench_kvcache::{
    EvictionPolicy, Fifo, Lru, MissCurve, S3Fifo, S3FifoOptions, StackDistances,
};

/// A trace with what was recorded of it.
struct Recorded {
    name: String,
    blocks: Vec<u64>,
    expected: Value,
}

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/cache");
    let bytes = std::fs::read(folder.join(format!("{name}.zst"))).unwrap();
    String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap()
}

fn all_recorded() -> Vec<Recorded> {
    let expected: Value = serde_json::from_str(&read("expected.json")).unwrap();
    let recorded = |(name, expected): (&String, &Value)| {
        let file = expected["file"].as_str().unwrap();
        let text = read(file);
        let blocks = if Path::new(file).extension().is_some_and(|ending| ending == "txt") {
            text.split_whitespace().map(|id| id.parse().unwrap()).collect()
        } else {
            let request = |line| {
                let request: Value = serde_json::from_str(line).unwrap();
                let blocks = request.get("blocks").unwrap_or(&request["hash_ids"]).clone();
                serde_json::from_value::<Vec<u64>>(blocks).unwrap()
            };
            text.lines().flat_map(request).collect()
        };
        Recorded { name: name.clone(), blocks, expected: expected.clone() }
    };
    expected.as_object().unwrap().iter().map(recorded).collect()
}

fn misses(mut cache: impl EvictionPolicy, blocks: &[u64]) -> u64 {
    blocks.iter().filter(|&&block| !cache.access(block)).count() as u64
}

/// Compares one policy at all capacities that were recorded; gives how many those were.
fn compare<P: EvictionPolicy>(row: &str, cache: impl Fn(u64) -> P) -> usize {
    let mut compared = 0;
    for Recorded { name, blocks, expected } in all_recorded() {
        let sizes = expected["sizes"].as_array().unwrap();
        for (size, expected) in sizes.iter().zip(expected["misses"][row].as_array().unwrap()) {
            let (Some(size), Some(expected)) = (size.as_u64(), expected.as_u64()) else { continue };
            assert_eq!(misses(cache(size), &blocks), expected, "{row} {name} {size}");
            compared += 1;
        }
    }
    compared
}

#[test]
fn lru_misses_are_those_recorded() {
    assert_eq!(compare("lru", Lru::new), 140);
}

#[test]
fn fifo_misses_are_those_recorded() {
    assert_eq!(compare("fifo", Fifo::new), 140);
}

#[test]
fn s3_fifo_misses_are_those_recorded_with_each_set_of_options() {
    let with = |small_share, ghost_share, uses_to_stay| {
        let options = S3FifoOptions { small_share, ghost_share, uses_to_stay };
        move |capacity| S3Fifo::new(capacity, options)
    };
    let compared = compare("s3fifo", with(0.1, 0.9, 2))
        + compare("s3fifo_threshold1", with(0.1, 0.9, 1))
        + compare("s3fifo_small25_ghost50", with(0.25, 0.5, 2));
    assert!(compared > 200, "{compared}");
}

#[test]
fn one_pass_gives_the_recorded_misses_of_every_capacity() {
    let mut compared = 0;
    for Recorded { name, blocks, expected } in all_recorded() {
        let mut stack = StackDistances::new();
        let mut curve = MissCurve::new();
        for &block in &blocks {
            curve.add(stack.access(block));
        }
        assert_eq!(Some(curve.cold_misses()), expected["distinct"].as_u64(), "{name}");
        let sizes = |sizes: &Value| serde_json::from_value::<Vec<u64>>(sizes.clone());
        let curve_sizes =
            sizes(&expected["lru_curve_sizes"]).unwrap_or((1..=curve.cold_misses()).collect());
        let curves = [
            (curve_sizes, &expected["lru_curve_misses"]),
            (
                serde_json::from_value(expected["sizes"].clone()).unwrap(),
                &expected["misses"]["lru"],
            ),
        ];
        for (sizes, misses) in curves {
            let Some(misses) = misses.as_array() else { continue };
            assert_eq!(sizes.len(), misses.len(), "{name}");
            for (size, misses) in sizes.into_iter().zip(misses) {
                assert_eq!(Some(curve.misses(size)), misses.as_u64(), "{name} {size}");
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "{compared}");
}
