//! What the data do not carry is not told.

use proptest::prelude::{Strategy, prop, prop_assert, proptest};
use turnbench_metrics::{
    SpeedBreakEven, SpeedFigure, SpeedObservation, SpeedOptions, SpeedReason, speeds,
};

use crate::world::{Noise, Truth, conversations, queued, request};
use crate::{speeds_of, tier};

fn usual(size: (u64, u32)) -> Vec<SpeedObservation> {
    conversations(&Truth::USUAL, Noise::Low, 7, size)
}

/// Requests that do not overlap, ten of each conversation.
fn one_after_the_other(
    requests: impl IntoIterator<Item = SpeedObservation>,
) -> Vec<SpeedObservation> {
    let place = |(at, one): (u64, SpeedObservation)| {
        let shift = at as f64 * 10_000.0;
        SpeedObservation {
            conversation: at / 10,
            sent_ms: one.sent_ms + shift,
            first_token_ms: one.first_token_ms.map(|first| first + shift),
            end_ms: one.end_ms + shift,
            ..one
        }
    };
    (0..).zip(requests).map(place).collect()
}

/// Everything is refused for one reason.
fn check_all(observations: &[SpeedObservation], expect: &SpeedReason) {
    let found = speeds_of(observations);
    assert_eq!(found.base_ms.reason(), Some(expect));
    assert_eq!(found.recompute_tokens_per_sec.reason(), Some(expect));
    assert_eq!(found.recompute_at_tokens, None);
    for tier in &found.tiers {
        assert_eq!(tier.reload_tokens_per_sec.reason(), Some(expect), "{}", tier.tier);
        assert_eq!(tier.reload_gib_per_sec, None);
    }
}

#[test]
fn too_little_is_refused() {
    check_all(&[], &SpeedReason::NoFirstTokens);
    check_all(&usual((2, 6)), &SpeedReason::FewRequests { requests: 12 });
    check_all(&usual((1, 60)), &SpeedReason::FewConversations { conversations: 1 });
    check_all(&usual((7, 6)), &SpeedReason::FewConversations { conversations: 7 });
    assert!(matches!(speeds_of(&usual((8, 6))).recompute_tokens_per_sec, SpeedFigure::Told(_)));
}

#[test]
fn what_the_server_or_the_run_does_not_tell_is_named() {
    let seen = usual((20, 6));
    let whole = |one: &SpeedObservation| SpeedObservation { first_token_ms: None, ..*one };
    check_all(&seen.iter().map(whole).collect::<Vec<_>>(), &SpeedReason::NoFirstTokens);
    let silent = |one: &SpeedObservation| SpeedObservation {
        cached_tokens: None,
        cached_device_tokens: None,
        cached_host_tokens: None,
        cached_storage_tokens: None,
        ..*one
    };
    check_all(&seen.iter().map(silent).collect::<Vec<_>>(), &SpeedReason::CachedNotReported);
}

#[test]
fn a_run_in_which_all_wait_is_refused_and_not_misread() {
    let seen = queued(&usual((80, 6)), 16, 0.0);
    let SpeedFigure::CannotBeTold(SpeedReason::Queueing { ratio }) = speeds_of(&seen).base_ms
    else {
        panic!("{:?}", speeds_of(&seen));
    };
    assert!(ratio > 0.9, "{ratio}");
}

#[test]
fn prompts_without_cached_tokens_tell_only_how_fast_they_are_computed() {
    let seen = one_after_the_other((0..120).map(|n| request(&Truth::USUAL, 500 + 37 * n, [0; 3])));
    let found = speeds_of(&seen);
    assert!(found.recompute_tokens_per_sec.told().is_some(), "{found:?}");
    for name in ["device", "host", "storage"] {
        let expect = SpeedReason::NoTokens { tier: name.to_owned() };
        assert_eq!(tier(&found, name).reload_tokens_per_sec.reason(), Some(&expect));
    }
}

#[test]
fn prompts_of_one_length_are_refused() {
    // All computed, and all the same.
    let seen = one_after_the_other((0..120).map(|n| request(&Truth::USUAL, 6_000 + n % 7, [0; 3])));
    let alike = SpeedReason::Alike { tokens: "uncached".to_owned(), low: 6_000, high: 6_006 };
    assert_eq!(speeds_of(&seen).recompute_tokens_per_sec.reason(), Some(&alike));
    // What is not cached is the rest, so that only the difference of the two costs is known.
    let cached = |n: u64| [0, (n * 16 * 31) % 5_000 / 16 * 16, 0];
    let seen = one_after_the_other((0..120).map(|n| request(&Truth::USUAL, 6_000, cached(n))));
    let found = speeds_of(&seen);
    let bound = |tokens: &str| SpeedReason::Bound { tokens: tokens.to_owned() };
    assert_eq!(found.recompute_tokens_per_sec.reason(), Some(&bound("uncached")));
    assert_eq!(found.base_ms.reason(), Some(&bound("uncached")));
    assert_eq!(tier(&found, "host").reload_tokens_per_sec.reason(), Some(&bound("host")));
}

#[test]
fn reloads_of_one_size_tell_no_fixed_cost_and_no_break_even() {
    let one = |n: u64| {
        let cached = if n.is_multiple_of(3) { 4_096 } else { 0 };
        request(&Truth::USUAL, 4_200 + 61 * (n % 40), [0, 0, cached])
    };
    let found = speeds_of(&one_after_the_other((0..150).map(one)));
    let storage = tier(&found, "storage");
    let value = storage.reload_tokens_per_sec.told().unwrap().value;
    let with_fixed = 4_096.0 / (4_096.0 * 0.02 + 20.0) * 1e3;
    assert!((value / with_fixed - 1.0).abs() < 0.01, "{value} {with_fixed}");
    let bound = SpeedReason::FixedCostBound;
    assert_eq!(storage.fixed_ms, Some(SpeedFigure::CannotBeTold(bound.clone())));
    assert_eq!(storage.break_even, Some(SpeedBreakEven::CannotBeTold(bound)));
}

#[test]
fn a_tier_that_few_requests_used_is_not_told() {
    let mut seen = usual((20, 6));
    let mut left = 4;
    seen.retain(|one| {
        let uses = one.cached_storage_tokens.is_some_and(|tokens| tokens > 0);
        left -= i32::from(uses && left > 0);
        !uses || left > 0
    });
    let found = speeds_of(&seen);
    let reason = tier(&found, "storage").reload_tokens_per_sec.reason().cloned();
    assert!(matches!(reason, Some(SpeedReason::FewFromTier { requests: 3, .. })), "{reason:?}");
    assert!(tier(&found, "host").reload_tokens_per_sec.told().is_some());
}

#[test]
fn tokens_from_two_tiers_at_once_are_left_out() {
    let both = |n: u64| {
        let cached = if n.is_multiple_of(2) { [0, 16 * (n % 60), 16 * (n % 37)] } else { [0; 3] };
        request(&Truth::USUAL, 2_000 + 13 * n, cached)
    };
    let found = speeds_of(&one_after_the_other((1..200).map(both)));
    let expect = SpeedReason::SeveralTiers { tier: "host".to_owned() };
    assert_eq!(tier(&found, "host").reload_tokens_per_sec.reason(), Some(&expect));
    assert!(found.sample.several_tiers > 80, "{:?}", found.sample);
    assert!(found.recompute_tokens_per_sec.told().is_some());
}

#[test]
fn tiers_that_only_counters_tell_are_named_or_refused() {
    let untold = |one: SpeedObservation| SpeedObservation {
        cached_device_tokens: None,
        cached_host_tokens: None,
        cached_storage_tokens: None,
        ..one
    };
    let only_host = |one: &SpeedObservation| {
        one.cached_tokens == one.cached_host_tokens || one.cached_tokens == Some(0)
    };
    let seen: Vec<_> = usual((40, 6)).into_iter().filter(only_host).map(untold).collect();
    let with = |counted_tiers: &[&str]| {
        speeds(&seen, &SpeedOptions { counted_tiers, ..SpeedOptions::default() })
    };
    let found = with(&["host"]);
    let value = tier(&found, "host").reload_tokens_per_sec.told().unwrap().value;
    assert!((value / 125_000.0 - 1.0).abs() < 0.1, "{value}");
    assert_eq!(found.tiers.len(), 1);
    // Then it is still known what prompts without cached tokens took.
    for (counted, expect) in
        [(&["device", "host"][..], SpeedReason::TiersMixed), (&[], SpeedReason::TierUnknown)]
    {
        let found = with(counted);
        assert_eq!(tier(&found, "unspecified").reload_tokens_per_sec.reason(), Some(&expect));
        let value = found.recompute_tokens_per_sec.told().unwrap().value;
        assert!((value / 20_000.0 - 1.0).abs() < 0.1, "{value}");
        // And nothing where there are none of these.
        let cached = seen.iter().copied().filter(|one| one.cached_tokens > Some(0));
        let cached: Vec<_> = cached.collect();
        let options = SpeedOptions { counted_tiers: counted, ..SpeedOptions::default() };
        let found = speeds(&cached, &options);
        assert_eq!(found.recompute_tokens_per_sec.reason(), Some(&expect));
    }
}

fn any_observation() -> impl Strategy<Value = SpeedObservation> {
    let tokens = || {
        prop::option::weighted(0.9, prop::sample::select(vec![0, 1, 16, 160, 999, 4_000, 1 << 40]))
    };
    let times = (0.0..1e5_f64, -1.0..1e3_f64, -1.0..1e3_f64);
    (0..12_u64, times, prop::array::uniform5(tokens())).prop_map(
        |(conversation, (sent_ms, ttft, rest), tokens)| {
            let [fresh, device, host, storage, _] = tokens;
            let cached = [device, host, storage].iter().flatten().sum::<u64>();
            SpeedObservation {
                conversation,
                sent_ms,
                first_token_ms: (rest < 900.0).then_some(sent_ms + ttft),
                end_ms: sent_ms + ttft + rest,
                prompt_tokens: fresh.map(|fresh| fresh + cached),
                cached_tokens: tokens[4].map(|_| cached),
                cached_device_tokens: device,
                cached_host_tokens: host,
                cached_storage_tokens: storage,
            }
        },
    )
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_observed_every_number_is_one(seen in prop::collection::vec(any_observation(), 0..120)) {
        let found = speeds_of(&seen);
        let tiers = found.tiers.iter().map(|tier| &tier.reload_tokens_per_sec);
        for figure in [&found.base_ms, &found.recompute_tokens_per_sec].into_iter().chain(tiers) {
            match figure {
                SpeedFigure::Told(told) => {
                    prop_assert!(told.value.is_finite() && told.high.is_finite(), "{told:?}");
                    prop_assert!(0.0 <= told.low && told.low <= told.value && told.value <= told.high);
                }
                SpeedFigure::CannotBeTold(reason) => prop_assert!(!reason.to_string().contains("NaN")),
            }
        }
        // What JSON cannot hold becomes null, which does not come back.
        let json = serde_json::to_string(&found).unwrap();
        prop_assert!(serde_json::from_str::<turnbench_metrics::Speeds>(&json).is_ok(), "{json}");
    }
}
