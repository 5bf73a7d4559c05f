use turnbench_metrics::{
    BreakEven, Estimate, ProbingEnd, PromptCost, Reach, Revisit, TIERS_REPORT_SCHEMA_VERSION,
    TierLevel, TiersNote, TiersReport,
};
use turnbench_model::{CachedByTier, Nanos};

use crate::findings::{Findings, Level, Point};
use crate::line::{Line, median};
use crate::prober::Prober;
use crate::scale::Scale;
use crate::visit::{Purpose, Visit};

/// Fewest prompts that a speed is taken from.
const SPEED_PROMPTS_MIN: usize = 4;

/// What the report says beside what the prober has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// Base URL of the server.
    pub url: String,
    /// Model name sent.
    pub model: String,
    /// What `/version` said.
    pub server_version: Option<String>,
    /// Bytes that the model keeps for a token.
    pub kv_bytes_per_token: Option<f64>,
    /// What else was noticed.
    pub notes: Vec<TiersNote>,
}

/// The report of a probing that ended, or was ended, after `elapsed`.
pub fn tiers_report(prober: &Prober, context: &Context, elapsed: Nanos) -> TiersReport {
    let visits = prober.visits();
    let findings = prober.findings();
    let fresh = visits.iter().filter(|visit| visit.newer_tokens.is_none());
    let end = prober.end().cloned().unwrap_or(ProbingEnd::BudgetSpent);
    let mut report = TiersReport {
        schema_version: TIERS_REPORT_SCHEMA_VERSION,
        url: context.url.clone(),
        model: context.model.clone(),
        server_version: context.server_version.clone(),
        caches_prompts: caches_prompts(&end, findings.as_ref()),
        end,
        elapsed_ns: elapsed.0,
        budget_ns: prober.options().budget.0,
        requests: visits.len() as u64,
        failed_requests: prober.failed_count(),
        fresh_tokens: fresh.map(|visit| u64::from(visit.answered.tokens)).sum(),
        newer_tokens_max: visits.iter().filter_map(|visit| visit.newer_tokens).max().unwrap_or(0),
        prompt_tokens: None,
        kv_bytes_per_token: context.kv_bytes_per_token,
        block_tokens: prober.options().block_tokens,
        reported_capacity_tokens: prober.options().capacity_tokens,
        reports_cached_tokens: false,
        recompute: None,
        levels: Vec::new(),
        end_found: false,
        revisits: Vec::new(),
        notes: context.notes.clone(),
    };
    if let Some(findings) = &findings {
        add_findings(&mut report, prober, findings);
    }
    add_notes(&mut report, prober);
    report
}

fn caches_prompts(end: &ProbingEnd, findings: Option<&Findings>) -> Option<bool> {
    match end {
        ProbingEnd::CannotTell { why: turnbench_metrics::CannotTell::NoPrefixCaching } => {
            Some(false)
        }
        ProbingEnd::CannotTell { .. } => None,
        ProbingEnd::Complete
        | ProbingEnd::BudgetSpent
        | ProbingEnd::Interrupted
        | ProbingEnd::ServerFailed { .. } => {
            let findings = findings?;
            (findings.levels.len() + usize::from(findings.end_found) > 1).then_some(true)
        }
    }
}

fn add_findings(report: &mut TiersReport, prober: &Prober, findings: &Findings) {
    let scale = &findings.scale;
    let bytes = report.kv_bytes_per_token;
    let visits = prober.visits();
    report.prompt_tokens = Some(scale.tokens);
    report.reports_cached_tokens = scale.full_share.is_some();
    let fresh = visits.iter().filter(|visit| visit.purpose == Purpose::Fresh);
    let excess = |visit: &Visit| {
        // Without a cache a prompt sent again is no measure of what is not computed.
        let of_all = report.caches_prompts == Some(false);
        if of_all { visit.ttft_ms() } else { scale.excess_ms(visit) }
    };
    let recompute = cost(fresh, excess, bytes);
    report.recompute = recompute.as_ref().map(|(cost, _)| *cost);
    report.end_found = findings.end_found;
    if report.caches_prompts == Some(false) {
        return;
    }
    for (place, level) in findings.levels.iter().enumerate() {
        let inside = (findings.points.iter())
            .filter(|point| is_inside(findings, place, point))
            .map(|point| &visits[point.visit]);
        let all_lengths =
            visits.iter().filter(|visit| is_visit_inside(prober, findings, place, visit));
        let reload = if place == 0 { None } else { cost(all_lengths, excess, bytes) };
        let break_even = reload.as_ref().zip(recompute.as_ref());
        let break_even =
            break_even.map(|((_, load), (_, compute))| break_even_of(load, compute, scale));
        report.levels.push(TierLevel {
            place: place as u32,
            reported_as: reported_as(inside.clone()),
            reach: level.knee.map(|knee| Reach {
                tokens: knee.tokens,
                tokens_low: knee.low,
                tokens_high: knee.high,
                bytes: bytes.map(|bytes| bytes * knee.tokens),
            }),
            ttft_ms: level_ms(findings, level, inside.clone()),
            prompts: inside.count() as u64,
            reload: reload.map(|(cost, _)| cost),
            break_even,
        });
    }
    report.revisits = (findings.points.iter())
        .map(|point| Revisit {
            newer_tokens: point.newer as u64,
            tokens: visits[point.visit].answered.tokens,
            ttft_ms: visits[point.visit].ttft_ms(),
            ttft_alike_ms: point.alike_ms,
            cached_tokens: visits[point.visit].answered.cached_tokens,
            level: (0..findings.levels.len())
                .find(|place| is_inside(findings, *place, point))
                .map(|place| place as u32),
        })
        .collect();
}

/// The distances at which a prompt is surely and wholly within a level.
fn is_between(findings: &Findings, place: usize, newer: f64, tokens: f64) -> bool {
    let before = place.checked_sub(1).map(|before| &findings.levels[before]);
    let from = before.map_or(0.0, |level| level.knee.map_or(f64::INFINITY, |knee| knee.high));
    let to = findings.levels[place].knee.map_or(f64::INFINITY, |knee| knee.low + 1.0);
    newer >= from && newer + tokens <= to
}

fn is_inside(findings: &Findings, place: usize, point: &Point) -> bool {
    is_between(findings, place, point.newer, point.tokens)
}

/// As [`is_inside`], for prompts of all lengths.
fn is_visit_inside(prober: &Prober, findings: &Findings, place: usize, visit: &Visit) -> bool {
    visit.purpose == Purpose::Revisit
        && visit.round >= prober.since()
        && visit
            .newer_tokens
            .is_some_and(|newer| is_between(findings, place, newer as f64, visit.tokens()))
}

fn level_ms<'a>(
    findings: &Findings,
    level: &Level,
    inside: impl Iterator<Item = &'a Visit>,
) -> f64 {
    median(inside.map(|visit| findings.scale.alike_ms(visit)).collect()).unwrap_or(level.alike_ms)
}

/// What prompts cost beyond ones on the device, and the line that says so in ms; `None` where there are
/// too few of different lengths, or the time does not grow with them.
fn cost<'a>(
    visits: impl Iterator<Item = &'a Visit>,
    excess_ms: impl Fn(&Visit) -> f64,
    bytes_per_token: Option<f64>,
) -> Option<(PromptCost, Line)> {
    let points: Vec<_> = visits.map(|visit| (visit.tokens(), excess_ms(visit))).collect();
    let line = Line::through(&points).filter(|_| points.len() >= SPEED_PROMPTS_MIN)?;
    let per_sec = |ms_per_token: f64| 1e3 / ms_per_token;
    if line.slope.low <= 0.0 {
        return None;
    }
    let tokens_per_sec = Estimate {
        value: per_sec(line.slope.value),
        low: per_sec(line.slope.high),
        high: per_sec(line.slope.low),
    };
    let lengths = points.iter().map(|(tokens, _)| *tokens as u64);
    let cost = PromptCost {
        tokens_per_sec,
        bytes_per_sec: bytes_per_token.map(|bytes| bytes * tokens_per_sec.value),
        latency_ms: line.intercept.max(0.0),
        prompts: points.len() as u64,
        tokens_range: (lengths.clone().min()?, lengths.max()?),
    };
    Some((cost, line))
}

/// A length below one block is none: so much is computed in any case.
fn break_even_of(load: &Line, compute: &Line, scale: &Scale) -> BreakEven {
    let saved_per_token = compute.slope.value - load.slope.value;
    let head_start = load.intercept - compute.intercept;
    if saved_per_token <= 0.0 {
        BreakEven::Never
    } else if head_start <= scale.noise_ms.max(scale.block_tokens * saved_per_token) {
        BreakEven::Always
    } else {
        BreakEven::From { tokens: head_start / saved_per_token }
    }
}

/// Where most of the cached tokens were, in the server's words.
fn reported_as<'a>(visits: impl Iterator<Item = &'a Visit>) -> Option<String> {
    let mut sums = [("device", 0), ("host", 0), ("storage", 0)];
    let mut backend = None;
    for tiers in visits.filter_map(|visit| visit.answered.by_tier.as_ref()) {
        let CachedByTier { device, host, storage, storage_backend } = tiers;
        for ((_, sum), tokens) in sums.iter_mut().zip([device, host, storage]) {
            *sum += tokens.unwrap_or(0);
        }
        backend = backend.or(storage_backend.as_ref());
    }
    let (name, most) = sums.into_iter().max_by_key(|(_, sum)| *sum)?;
    let name = if name == "storage" { backend.map_or(name, String::as_str) } else { name };
    (most > 0).then(|| name.to_owned())
}

fn add_notes(report: &mut TiersReport, prober: &Prober) {
    if report.levels.is_empty() {
        return;
    }
    if !report.reports_cached_tokens {
        report.notes.push(TiersNote::CachedNotReported);
    }
    if let Some(pause_ratio) = prober.slow_stores {
        report.notes.push(TiersNote::StoresSlowly { pause_ratio });
    }
    if prober.is_growing && prober.end() == Some(&ProbingEnd::Complete) {
        report.notes.push(TiersNote::StillGrowing);
    }
    if !report.end_found {
        report.notes.push(TiersNote::EndNotReached);
    } else if !prober.is_measured {
        report.notes.push(TiersNote::NotMeasuredAgain);
    }
}
