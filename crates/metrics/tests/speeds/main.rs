//! Speeds of made-up servers whose costs are known: what is told is right, and what the data do not
//! carry is refused for the right reason.
#![allow(clippy::unwrap_used, reason = "test code")]

mod refusals;
mod world;

use turnbench_metrics::{
    Estimate, SpeedBreakEven, SpeedFigure, SpeedObservation, SpeedOptions, SpeedReason, Speeds,
    TierSpeed, speeds,
};
use world::{Noise, Truth, conversations, queued};

fn speeds_of(observations: &[SpeedObservation]) -> Speeds {
    speeds(observations, &SpeedOptions::default())
}

fn tier<'a>(speeds: &'a Speeds, name: &str) -> &'a TierSpeed {
    speeds.tiers.iter().find(|tier| tier.tier == name).unwrap()
}

/// How often a figure was told, and how often its interval held the truth.
#[derive(Debug, Default)]
struct Coverage {
    told: u32,
    held: u32,
}

impl Coverage {
    fn add(&mut self, found: Option<&Estimate>, truth: f64) {
        let Some(found) = found else { return };
        self.told += 1;
        self.held += u32::from(found.low <= truth && truth <= found.high);
    }

    fn check(&self, name: &str, told_min: u32) {
        assert!(self.told >= told_min, "{name} is seldom told: {self:?}");
        assert!(10 * self.held >= 9 * self.told, "{name} is often missed: {self:?}");
    }
}

const fn length(found: &SpeedBreakEven) -> Option<&Estimate> {
    match found {
        SpeedBreakEven::Tokens(length) => Some(length),
        SpeedBreakEven::FirstBlock { .. }
        | SpeedBreakEven::Never
        | SpeedBreakEven::CannotBeTold(_) => None,
    }
}

/// How many intervals hold the truth over `seeds` runs of `disturbed` requests of a server.
fn check_coverage(truth: &Truth, seeds: u32, disturbed: impl Fn(u32) -> Vec<SpeedObservation>) {
    let [mut recompute, mut host, mut storage, mut fixed, mut even] =
        [(); 5].map(|()| Coverage::default());
    let mut false_lengths = 0;
    for seed in 0..seeds {
        let found = speeds_of(&disturbed(seed));
        let (from_host, from_storage) = (tier(&found, "host"), tier(&found, "storage"));
        recompute.add(found.recompute_tokens_per_sec.told(), 1e3 / truth.computed);
        host.add(from_host.reload_tokens_per_sec.told(), 1e3 / truth.host);
        storage.add(from_storage.reload_tokens_per_sec.told(), 1e3 / truth.storage);
        fixed.add(from_storage.fixed_ms.as_ref().unwrap().told(), truth.storage_fixed);
        let length_truth = truth.storage_fixed / (truth.computed - truth.storage);
        even.add(length(from_storage.break_even.as_ref().unwrap()), length_truth);
        // The host has no fixed cost, so that no length is right.
        false_lengths += u32::from(length(from_host.break_even.as_ref().unwrap()).is_some());
    }
    recompute.check("recompute", seeds);
    host.check("host", seeds * 3 / 4);
    storage.check("storage", seeds * 3 / 4);
    fixed.check("fixed cost of storage", seeds * 3 / 4);
    even.check("break-even of storage", seeds * 3 / 4);
    assert!(10 * false_lengths <= seeds, "{false_lengths} lengths without a fixed cost");
}

#[test]
fn intervals_hold_the_truth_under_heavy_one_sided_noise() {
    let truth = Truth::USUAL;
    check_coverage(&truth, 40, |seed| conversations(&truth, Noise::Heavy, seed, (20, 6)));
}

#[test]
fn intervals_hold_the_truth_with_few_conversations() {
    let truth = Truth::USUAL;
    check_coverage(&truth, 40, |seed| conversations(&truth, Noise::Low, seed, (9, 12)));
}

#[test]
fn intervals_hold_the_truth_when_some_requests_queue() {
    let truth = Truth::USUAL;
    check_coverage(&truth, 24, |seed| {
        queued(&conversations(&truth, Noise::Heavy, seed, (36, 10)), 3, 500.0)
    });
}

#[test]
fn little_noise_gives_the_truth() {
    let truth = Truth::USUAL;
    let near = |found: Option<&Estimate>, truth: f64| {
        let found = found.unwrap_or_else(|| panic!("{truth} is not told"));
        assert!((found.value / truth - 1.0).abs() < 0.1, "{found:?} for {truth}");
        assert!(found.low <= found.value && found.value <= found.high, "{found:?}");
    };
    for seed in 0..10 {
        let seen = conversations(&truth, Noise::Low, seed, (20, 6));
        let options =
            SpeedOptions { kv_bytes_per_token: Some(131_072.0), ..SpeedOptions::default() };
        let found = speeds(&seen, &options);
        near(found.base_ms.told(), truth.base + 0.25);
        near(found.recompute_tokens_per_sec.told(), 20_000.0);
        assert_eq!(found.recompute_at_tokens, None);
        let [device, host, storage] = ["device", "host", "storage"].map(|name| tier(&found, name));
        near(device.reload_tokens_per_sec.told(), 1e6);
        assert_eq!((device.fixed_ms.as_ref(), device.break_even.as_ref()), (None, None));
        near(host.reload_tokens_per_sec.told(), 125_000.0);
        near(host.reload_gib_per_sec.as_ref(), 125_000.0 * 131_072.0 / f64::from(1 << 30));
        near(storage.reload_tokens_per_sec.told(), 50_000.0);
        near(storage.fixed_ms.as_ref().unwrap().told(), 20.0);
        near(length(storage.break_even.as_ref().unwrap()), 2_000.0 / 3.0);
    }
}

#[test]
fn a_reload_without_a_fixed_cost_pays_from_the_first_block_on() {
    let mut told = 0;
    for seed in 0..10 {
        let found = speeds_of(&conversations(&Truth::USUAL, Noise::Low, seed, (20, 6)));
        let host = tier(&found, "host");
        if let Some(SpeedBreakEven::FirstBlock { at_most_tokens }) = host.break_even {
            assert!(at_most_tokens < 100.0, "{host:?}");
            let reason = host.fixed_ms.as_ref().unwrap().reason().unwrap();
            assert!(matches!(reason, SpeedReason::NoFixedCost { .. }), "{reason:?}");
            told += 1;
        }
    }
    assert!(told >= 8, "{told} of 10");
}

#[test]
fn a_tier_that_is_slower_than_computing_never_pays() {
    let truth = Truth { storage: 0.07, ..Truth::USUAL };
    for seed in 0..5 {
        let found = speeds_of(&conversations(&truth, Noise::Low, seed, (12, 6)));
        assert_eq!(tier(&found, "storage").break_even, Some(SpeedBreakEven::Never));
    }
    // As fast as computing, and noisy: neither is claimed.
    let truth = Truth { storage: 0.05, storage_fixed: 0.0, ..Truth::USUAL };
    let mut claimed = 0;
    for seed in 0..20 {
        let found = speeds_of(&conversations(&truth, Noise::Heavy, seed, (20, 6)));
        let storage = tier(&found, "storage").break_even.clone().unwrap();
        let unclear = matches!(storage, SpeedBreakEven::CannotBeTold(_));
        claimed += u32::from(!unclear);
    }
    assert!(claimed <= 2, "{claimed} of 20");
}

#[test]
fn attention_is_seen_where_it_is_much_and_the_speed_is_for_a_length() {
    // 0.05 ms a token at first, 0.11 at 6,000 tokens.
    let truth = Truth { position: 1e-5, ..Truth::USUAL };
    let mut recompute = Coverage::default();
    for seed in 0..20 {
        let found = speeds_of(&conversations(&truth, Noise::Heavy, seed, (20, 6)));
        let at = found.recompute_at_tokens.unwrap();
        recompute.add(
            found.recompute_tokens_per_sec.told(),
            1e3 / (truth.computed + truth.position * at / 2.0),
        );
    }
    recompute.check("recompute", 20);
    // And not where there is none.
    let straight = (0..20).filter(|&seed| {
        let seen = conversations(&Truth::USUAL, Noise::Heavy, seed, (20, 6));
        speeds_of(&seen).recompute_at_tokens.is_none()
    });
    assert!(straight.count() >= 19);
}

#[test]
fn waits_that_no_client_sees_move_no_speed() {
    let truth = Truth::USUAL;
    let mut recompute = Coverage::default();
    for seed in 0..20 {
        let mut stream = turnbench_random::NumpyStream::new(1_000 + seed);
        let mut seen = conversations(&truth, Noise::Low, seed, (30, 6));
        let mut shift = 0.0;
        for one in &mut seen {
            // Four of ten requests wait for someone else's, 200 ms on average.
            let wait = if stream.random_sample() < 0.4 { stream.exponential(200.0) } else { 0.0 };
            one.sent_ms += shift;
            one.first_token_ms = one.first_token_ms.map(|at| at + shift + wait);
            shift += wait;
            one.end_ms += shift;
        }
        let found = speeds_of(&seen).recompute_tokens_per_sec;
        let value = found.told().unwrap().value;
        assert!((value / 20_000.0 - 1.0).abs() < 0.05, "{found:?}");
        recompute.add(found.told(), 20_000.0);
    }
    recompute.check("recompute", 20);
}

#[test]
fn the_order_of_observations_does_not_matter_and_a_run_always_gives_the_same() {
    let seen = conversations(&Truth::USUAL, Noise::Heavy, 1, (20, 6));
    let mut reversed = seen.clone();
    reversed.reverse();
    let (found, again) = (speeds_of(&seen), speeds_of(&seen));
    assert_eq!(found, again);
    let value = |speeds: &Speeds| speeds.recompute_tokens_per_sec.told().unwrap().value;
    let other = value(&speeds_of(&reversed));
    assert!((value(&found) / other - 1.0).abs() < 1e-9, "{} {other}", value(&found));
}

#[test]
fn a_long_run_is_bounded_in_whole_conversations() {
    let seen = conversations(&Truth::USUAL, Noise::Low, 3, (2_000, 5));
    let found = speeds_of(&seen);
    assert!((3_000..=4_000).contains(&found.sample.requests), "{:?}", found.sample);
    assert_eq!(found.sample.requests, 5 * found.sample.conversations);
    assert!(matches!(found.recompute_tokens_per_sec, SpeedFigure::Told(_)));
}
