//! The prober against a cache in memory: what it finds must be what was hidden there.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use turnbench_kvcache::StackDistances;
use turnbench_metrics::{BreakEven, CannotTell, ProbingEnd, TiersNote, TiersReport};
use turnbench_model::Nanos;
use turnbench_staircase::{Answered, Ask, Context, Prober, ProberOptions, Step, tiers_report};

const BLOCK: u32 = 16;

/// A level of the hidden server: everything up to so many tokens back, at so many ms a token.
#[derive(Clone, Copy)]
struct Tier {
    tokens: u64,
    tokens_per_sec: f64,
    latency_ms: f64,
}

/// A server with inclusive LRU levels.
struct Hidden {
    device_tokens: u64,
    tiers: Vec<Tier>,
    prefill_tokens_per_sec: f64,
    base_ms: f64,
    noise_ms: f64,
    reports_cached: bool,
    stack: StackDistances,
    random: u64,
    sent: u32,
    max_tokens: u32,
}

impl Hidden {
    fn new(device_tokens: u64, tiers: &[Tier], prefill_tokens_per_sec: f64) -> Self {
        Self {
            device_tokens,
            tiers: tiers.to_vec(),
            prefill_tokens_per_sec,
            base_ms: 1.5,
            noise_ms: 0.15,
            reports_cached: true,
            stack: StackDistances::new(),
            random: 1,
            sent: 0,
            max_tokens: u32::MAX,
        }
    }

    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn answer(&mut self, ask: Ask) -> Answered {
        let tokens = 24 + ask.words * 5 / 4;
        let names: Vec<u64> = (0..tokens / BLOCK)
            .map(|block| u64::from(ask.prompt) << 20 | u64::from(block))
            .collect();
        let usable = ((tokens - 1) / BLOCK) as usize;
        let mut found = 0;
        let mut ms = self.base_ms;
        let mut loads = vec![0; self.tiers.len()];
        for name in &names[..usable] {
            let Some(distance) = self.stack.distance(*name).map(|it| it * u64::from(BLOCK)) else {
                break;
            };
            if distance > self.device_tokens {
                let tier = self.tiers.iter().position(|tier| distance <= tier.tokens);
                let Some(tier) = tier else { break };
                loads[tier] += BLOCK;
            }
            found += BLOCK;
        }
        for name in names.iter().rev() {
            self.stack.touch(*name);
        }
        for (tier, tokens) in self.tiers.iter().zip(loads) {
            if tokens > 0 {
                ms += tier.latency_ms + f64::from(tokens) / tier.tokens_per_sec * 1e3;
            }
        }
        ms += f64::from(tokens - found) / self.prefill_tokens_per_sec * 1e3;
        ms += self.noise_ms * self.random();
        self.sent += 1;
        if self.sent.is_multiple_of(41) {
            ms += 30.0;
        }
        Answered {
            tokens,
            ttft: Nanos((ms * 1e6) as u64),
            cached_tokens: self.reports_cached.then_some(u64::from(found)),
            by_tier: None,
        }
    }

    /// Probes it to the end; gives the report.
    fn probe(&mut self, budget_sec: u64, knows_capacity: bool) -> TiersReport {
        let options = ProberOptions {
            budget: Nanos::from_millis(budget_sec * 1_000),
            prompt_tokens: None,
            capacity_tokens: knows_capacity.then_some(self.device_tokens),
            block_tokens: knows_capacity.then_some(BLOCK),
            max_prompt_tokens: Some(32_768),
        };
        let mut now = Nanos::ZERO;
        let mut prober = Prober::new(options, now);
        loop {
            match prober.next(now) {
                Step::Send(ask) => {
                    let answered = self.answer(ask);
                    if answered.tokens > self.max_tokens {
                        prober.failed("too long", true);
                        continue;
                    }
                    now = now + answered.ttft;
                    prober.answered(answered, now);
                }
                Step::Wait(until) => now = until,
                Step::Done => break,
            }
        }
        tiers_report(&prober, &Context::default(), now)
    }
}

const fn tier(tokens: u64, tokens_per_sec: f64) -> Tier {
    Tier { tokens, tokens_per_sec, latency_ms: 0.0 }
}

fn close(what: &str, found: f64, hidden: f64, ratio: f64) {
    assert!((found / hidden - 1.0).abs() <= ratio, "{what}: found {found}, hidden {hidden}");
}

fn check(hidden: &mut Hidden, budget_sec: u64, knows_capacity: bool) -> TiersReport {
    let report = hidden.probe(budget_sec, knows_capacity);
    let summary = format!("{:#?}", (&report.levels, &report.end, &report.notes));
    assert_eq!(report.end, ProbingEnd::Complete, "{summary}");
    assert!(report.end_found, "{summary}");
    assert_eq!(report.levels.len(), 1 + hidden.tiers.len(), "{summary}");
    let reach = |at: usize| report.levels[at].reach.unwrap_or_else(|| panic!("{summary}"));
    close("device", reach(0).tokens, hidden.device_tokens as f64, 0.03);
    let recompute = report.recompute.unwrap().tokens_per_sec.value;
    close("recompute", recompute, hidden.prefill_tokens_per_sec, 0.05);
    for (at, tier) in hidden.tiers.iter().enumerate() {
        close(&format!("tier {at}"), reach(at + 1).tokens, tier.tokens as f64, 0.03);
        let reload = report.levels[at + 1].reload.unwrap_or_else(|| panic!("{summary}"));
        close(&format!("speed {at}"), reload.tokens_per_sec.value, tier.tokens_per_sec, 0.08);
    }
    report
}

#[test]
fn three_levels_are_found_with_and_without_help() {
    for (knows_capacity, reports_cached) in
        [(true, true), (false, true), (true, false), (false, false)]
    {
        let tiers = [tier(100_000, 160_000.0), tier(420_000, 40_000.0)];
        let mut hidden = Hidden::new(30_000, &tiers, 12_000.0);
        hidden.reports_cached = reports_cached;
        check(&mut hidden, 3_600, knows_capacity);
    }
}

#[test]
fn random_servers_are_found_out() {
    for seed in 0..24_u64 {
        let mut hidden = Hidden::new(0, &[], 0.0);
        hidden.random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for _ in 0..4 {
            hidden.random();
        }
        let between = |low: f64, high: f64, at: f64| low * (high / low).powf(at);
        hidden.device_tokens = between(9_000.0, 70_000.0, hidden.random()) as u64;
        hidden.prefill_tokens_per_sec = between(5_000.0, 60_000.0, hidden.random());
        hidden.reports_cached = hidden.random() < 0.5;
        let count = (hidden.random() * 3.0) as usize;
        let mut tokens = hidden.device_tokens as f64;
        let mut factor = between(4.0, 20.0, hidden.random());
        for _ in 0..count {
            tokens *= between(2.0, 5.0, hidden.random());
            let speed = hidden.prefill_tokens_per_sec * factor;
            hidden.tiers.push(tier(tokens as u64, speed));
            factor /= between(2.5, 8.0, hidden.random());
            // What takes as long as computing looks like it, where nothing is reported.
            if (0.7..1.4).contains(&factor) {
                factor = 0.5;
            }
        }
        println!(
            "seed {seed}: {} device, {} tiers, {} tokens/s",
            hidden.device_tokens, count, hidden.prefill_tokens_per_sec
        );
        check(&mut hidden, 36_000, seed % 2 == 0);
    }
}

#[test]
fn loading_slower_than_computing_never_pays_and_a_latency_pays_later() {
    let mut tiers = [tier(100_000, 160_000.0), tier(420_000, 6_000.0)];
    tiers[0].latency_ms = 8.0;
    let report = check(&mut Hidden::new(30_000, &tiers, 12_000.0), 3_600, true);
    let Some(BreakEven::From { tokens }) = report.levels[1].break_even else {
        panic!("{:?}", report.levels[1]);
    };
    close("break even", tokens, 8.0 / (1e3 / 12_000.0 - 1e3 / 160_000.0), 0.15);
    assert_eq!(report.levels[2].break_even, Some(BreakEven::Never));
}

#[test]
fn without_prefix_caching_there_is_nothing_to_find() {
    for reports_cached in [true, false] {
        let mut hidden = Hidden::new(0, &[], 12_000.0);
        hidden.reports_cached = reports_cached;
        let report = hidden.probe(600, false);
        assert_eq!(report.end, ProbingEnd::CannotTell { why: CannotTell::NoPrefixCaching });
        assert_eq!((report.caches_prompts, report.levels.len()), (Some(false), 0));
        close("recompute", report.recompute.unwrap().tokens_per_sec.value, 12_000.0, 0.05);
    }
}

#[test]
fn what_computes_in_no_time_cannot_be_told() {
    let mut hidden = Hidden::new(30_000, &[], 1e9);
    hidden.noise_ms = 1.0;
    let report = hidden.probe(600, true);
    assert_eq!(report.end, ProbingEnd::CannotTell { why: CannotTell::ComputesTooFast });
    assert_eq!(report.caches_prompts, None);
}

#[test]
fn a_short_budget_gives_what_was_found_until_then() {
    let tiers = [tier(100_000, 160_000.0), tier(4_000_000, 40_000.0)];
    let mut hidden = Hidden::new(30_000, &tiers, 12_000.0);
    let report = hidden.probe(90, true);
    assert!(!report.end_found && report.elapsed_ns <= 91_000_000_000, "{:?}", report.end);
    assert!(report.notes.contains(&TiersNote::EndNotReached), "{:?}", report.notes);
    let reach = report.levels[0].reach.unwrap();
    close("device", reach.tokens, 30_000.0, 0.05);
    let nothing = Hidden::new(30_000, &tiers, 12_000.0).probe(1, true);
    assert_eq!(nothing.end, ProbingEnd::BudgetSpent);
}

#[test]
fn prompts_that_the_server_refuses_are_left_out() {
    let mut hidden = Hidden::new(30_000, &[tier(100_000, 160_000.0)], 12_000.0);
    hidden.max_tokens = 2_500;
    let report = hidden.probe(3_600, true);
    assert_eq!(report.end, ProbingEnd::Complete);
    assert!(report.failed_requests >= 1 && report.recompute.unwrap().tokens_range.1 < 2_500);
}
