//! Stack distances, tiers and sampled curves against caches so slow and plain that they are seen
//! to be right.

#![allow(clippy::unwrap_used, reason = "test code")]

use proptest::prelude::*;
use turnbench_kvcache::{Inclusion, MissCurve, SampledCurve, StackDistances, Tiers};

/// The most recent block last.
#[derive(Clone, Default)]
struct PlainList(Vec<u64>);

impl PlainList {
    fn remove(&mut self, block: u64) -> bool {
        let place = self.0.iter().position(|&held| held == block);
        place.map(|place| self.0.remove(place)).is_some()
    }

    /// Adds a block as the most recent one; gives what has to go for it.
    fn push(&mut self, block: u64, capacity: usize) -> Option<u64> {
        self.0.push(block);
        (self.0.len() > capacity).then(|| self.0.remove(0))
    }
}

fn plain_tier(tiers: &mut [(usize, PlainList)], inclusion: Inclusion, block: u64) -> Option<usize> {
    let found = tiers.iter().position(|(_, list)| list.0.contains(&block));
    let mut moving = Some(block);
    for (capacity, list) in tiers {
        list.remove(block);
        let Some(arriving) = moving else { continue };
        let evicted = list.push(arriving, *capacity);
        if inclusion == Inclusion::Exclusive {
            moving = evicted;
        }
    }
    found
}

proptest! {
    #[test]
    fn a_distance_is_the_place_in_a_plain_list(
        accesses in prop::collection::vec((0_u64..60, 0_u8..8), 0..3_000),
    ) {
        let mut stack = StackDistances::new();
        let mut plain = PlainList::default();
        for (block, kind) in accesses {
            let expect = plain.0.iter().rev().position(|&held| held == block);
            let expect = expect.map(|place| place as u64 + 1);
            plain.remove(block);
            prop_assert_eq!(stack.distance(block), expect);
            match kind {
                0 => stack.forget(block),
                1 => {
                    stack.touch(block);
                    plain.0.push(block);
                }
                _ => {
                    prop_assert_eq!(stack.access(block), expect);
                    plain.0.push(block);
                }
            }
            prop_assert_eq!(stack.blocks_count(), plain.0.len() as u64);
        }
    }

    #[test]
    fn tiers_are_plain_lists_behind_one_another(
        accesses in prop::collection::vec(0_u64..40, 0..500),
        capacities in prop::collection::vec(0_usize..20, 1..4),
        inclusive in any::<bool>(),
    ) {
        let inclusion = if inclusive { Inclusion::Inclusive } else { Inclusion::Exclusive };
        let sizes: Vec<u64> = capacities.iter().map(|&capacity| capacity as u64).collect();
        let mut tiers = Tiers::new(&sizes, inclusion);
        let mut plain: Vec<_> =
            capacities.into_iter().map(|capacity| (capacity, PlainList::default())).collect();
        for block in accesses {
            prop_assert_eq!(tiers.access(block), plain_tier(&mut plain, inclusion, block));
        }
    }

    #[test]
    fn exclusive_tiers_are_one_stack_cut_in_pieces(
        accesses in prop::collection::vec(0_u64..40, 0..500),
        capacities in prop::collection::vec(1_u64..20, 1..4),
    ) {
        let mut tiers = Tiers::new(&capacities, Inclusion::Exclusive);
        let mut stack = StackDistances::new();
        for block in accesses {
            let distance = stack.access(block);
            let mut end = 0;
            let expect = capacities.iter().position(|capacity| {
                end += capacity;
                distance.is_some_and(|distance| distance <= end)
            });
            prop_assert_eq!(tiers.access(block), expect);
        }
    }

    #[test]
    fn the_capacity_for_a_share_is_the_least_that_reaches_it(
        accesses in prop::collection::vec(0_u64..40, 0..400),
        share in 0.0..1.0_f64,
    ) {
        let mut stack = StackDistances::new();
        let mut curve = MissCurve::new();
        for &block in &accesses {
            curve.add(stack.access(block));
        }
        let hits = |capacity| curve.accesses() - curve.misses(capacity);
        let wanted = ((curve.reuses() as f64 * share).ceil() as u64).max(1);
        match curve.capacity_for(share) {
            None => prop_assert_eq!(curve.reuses(), 0),
            Some(capacity) => {
                prop_assert!(hits(capacity) >= wanted && hits(capacity - 1) < wanted);
            }
        }
    }
}

/// Blocks of which few are used often and many seldom, the same on every machine.
fn skewed(accesses: u64, blocks: u64) -> impl Iterator<Item = u64> {
    let mut state = 20_261_124_u64;
    (0..accesses).map(move |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
        (uniform.powi(3) * blocks as f64) as u64
    })
}

#[test]
fn a_sampled_curve_is_exact_while_all_blocks_fit() {
    let mut sampled = SampledCurve::new(5_000);
    let (mut stack, mut exact) = (StackDistances::new(), MissCurve::new());
    for block in skewed(100_000, 4_000) {
        sampled.access(block);
        exact.add(stack.access(block));
    }
    assert!((sampled.sampling_rate() - 1.0).abs() < f64::EPSILON);
    // Up to 255 each capacity is told apart.
    for capacity in (0..=255).chain([u64::MAX]) {
        let expect = exact.misses(capacity) as f64 / exact.accesses() as f64;
        let estimate = sampled.miss_ratio(capacity);
        assert!((estimate.value - expect).abs() < 1e-9 && estimate.error == 0.0, "{capacity}");
    }
}

#[test]
fn a_sampled_curve_lies_within_its_stated_error_of_the_exact_one() {
    let mut sampled = SampledCurve::new(2_000);
    let (mut stack, mut exact) = (StackDistances::new(), MissCurve::new());
    for block in skewed(1_000_000, 100_000) {
        sampled.access(block);
        exact.add(stack.access(block));
    }
    assert!(sampled.sampling_rate() < 0.05);
    let capacities: Vec<u64> = (1..=20).map(|step| step * 5_000).chain([u64::MAX]).collect();
    let within = capacities.iter().filter(|&&capacity| {
        let expect = exact.misses(capacity) as f64 / exact.accesses() as f64;
        let estimate = sampled.miss_ratio(capacity);
        assert!((estimate.value - expect).abs() < 0.03, "{capacity} {expect} {estimate:?}");
        (estimate.value - expect).abs() <= estimate.error
    });
    // 95 % each; they are not independent.
    let within = within.count();
    assert!(within * 10 >= capacities.len() * 9, "{within} of {}", capacities.len());
    let share = |capacity| exact.accesses() - exact.misses(capacity);
    let for_90 = share(sampled.capacity_for(0.9).unwrap()) as f64 / exact.reuses() as f64;
    assert!((for_90 - 0.9).abs() < 0.03, "{for_90}");
}
