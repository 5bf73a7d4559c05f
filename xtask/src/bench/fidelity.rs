//! What clients report of requests, against what the source wrote down about them; and memory.

use super::client::{Client, Load};
use super::error::Errors;
use super::harness::{Run, Watch};
use super::paper::Paper;
use super::results::Results;
use super::rounds::{Counts, Rounds};
use super::source::Pace;
use super::statistics::quantile;
use super::target::{Side, Target};
use super::truth::Truth;
use super::{OWN, Setup};

/// Requests at the same time, all sent at once.
const STREAMS: [u32; 5] = [1, 32, 256, 1024, 4096];
const STREAMS_QUICK: [u32; 3] = [1, 32, 256];
/// Where other projects' clients are measured too.
const STREAMS_PEERS: [u32; 2] = [32, 1024];
/// Requests of a run, at least: with one stream, one after another.
const REQUESTS_MIN: u32 = 10;
const COUNTS: Counts = Counts { own: 3, peer: 3, slow_peer: 1 };
const PACE: Pace = Pace { events_per_write: 1, ttft_ms: 50.0, itl_ms: 10.0 };
const TOKENS: u32 = 100;
const TOKENS_QUICK: u32 = 20;

const UNMATCHED: &str = "
\\* Requests without an id that the source knows: distances of means and of quantiles, not of requests.
";

/// Figures of one run.
#[derive(Clone, Copy, Debug)]
struct Figures {
    errors: Errors,
    /// From the kernel's receipt of first tokens to their reads.
    delay_p99_ms: f64,
    in_flight_mean: f64,
    in_flight_peak: f64,
    /// Of the source's first tokens, behind their schedule.
    lateness_p99_ms: f64,
    /// Largest resident set; of clients that may have several processes NaN, until a run of its own
    /// tells.
    memory_mb: f64,
    /// Requests of which the client has reported.
    reported: f64,
}

impl Figures {
    fn of(client: &dyn Client, run: &Run) -> Self {
        let delays: Vec<f64> =
            run.reported.requests.iter().filter_map(|seen| seen.delay_ms).collect();
        let lateness: Vec<f64> = run.truths.whole.iter().filter_map(Truth::lateness_ms).collect();
        let (in_flight_mean, in_flight_peak) = run.truths.in_flight();
        Self {
            errors: Errors::of(&run.reported.requests, &run.truths.whole),
            delay_p99_ms: quantile(&delays, 0.99),
            in_flight_mean,
            in_flight_peak: in_flight_peak as f64,
            lateness_p99_ms: quantile(&lateness, 0.99),
            memory_mb: if client.is_peer() {
                f64::NAN
            } else {
                run.cost.peak_rss_bytes as f64 / 1e6
            },
            reported: run.reported.requests.len() as f64,
        }
    }
}

/// Measures with each number of streams.
pub(crate) fn measure(setup: &Setup, paper: &mut Paper) -> anyhow::Result<Vec<Target>> {
    let streams = if setup.options.quick { &STREAMS_QUICK[..] } else { &STREAMS[..] };
    let mut targets = Vec::new();
    for &streams in streams.iter().take_while(|_| !setup.is_stopped()) {
        targets.extend(with(setup, streams, paper)?);
    }
    Ok(targets)
}

fn with(setup: &Setup, streams: u32, paper: &mut Paper) -> anyhow::Result<Vec<Target>> {
    let peers = setup.peers().filter(|_| STREAMS_PEERS.contains(&streams));
    let own = [&setup.turnbench as &dyn Client, &setup.warm].into_iter();
    let clients: Vec<&dyn Client> = own.chain(peers).collect();
    let rounds = Rounds {
        harness: &setup.harness,
        title: &format!("fidelity, {streams} streams"),
        pace: PACE,
        counts: setup.options.counts(COUNTS),
        watched: Watch::Requests,
    };
    let tokens = if setup.options.quick { TOKENS_QUICK } else { TOKENS };
    let load = Load { streams, requests: streams.max(REQUESTS_MIN), tokens };
    let mut results = rounds.measure(&clients, |_| load, Figures::of);
    let memory = memory(setup, &clients, load);
    for row in &mut results.rows {
        let Some(memory) = memory.row(&row.name) else { continue };
        let memory_mb = memory.figures.first().copied().unwrap_or(f64::NAN);
        row.figures.iter_mut().for_each(|run| run.memory_mb = memory_mb);
        let failed = memory.failure.as_ref().map(|why| format!("memory not measured: {why}"));
        row.failure = row.failure.take().or(failed);
    }
    let unmatched = results.rows.iter().flat_map(|row| &row.figures).any(|run| !run.errors.matched);
    paper.put(&format!(
        "### Fidelity, {streams} streams\n\nThe first token after {} ms, each next one after {} ms, \
         {} answers of {tokens} tokens; all streams start together. How far what the client reports is \
         from what the source wrote down, in ms:\n\n{}{}\nWhat was asked, and what was done:\n\n{}\n{}",
        PACE.ttft_ms,
        PACE.itl_ms,
        load.requests,
        error_table(&results),
        if unmatched { UNMATCHED } else { "" },
        load_table(&results),
        results.commands()
    ))?;
    Ok(targets(&results, streams))
}

fn error_table(results: &Results<Figures>) -> String {
    let head = [
        "TTFT error mean",
        "p50",
        "p99",
        "max",
        "TPOT error p99",
        "ITL error p99",
        "read delay p99",
        "matched",
    ];
    let table = results.table(&head, |row| {
        let matched = match row.figures.iter().all(|run| run.errors.matched) {
            _ if row.figures.is_empty() => "-",
            true => "yes",
            false => "no \\*",
        };
        vec![
            row.shown(|run| run.errors.ttft.mean, 3),
            row.shown(|run| run.errors.ttft.p50, 3),
            row.shown(|run| run.errors.ttft.p99, 3),
            row.shown(|run| run.errors.ttft.max, 3),
            row.shown(|run| run.errors.tpot.p99, 3),
            row.shown(|run| run.errors.itl.p99, 3),
            row.shown(|run| run.delay_p99_ms, 3),
            matched.to_owned(),
        ]
    });
    table.text()
}

/// What was asked of clients, and of the source, and what they did.
fn load_table(results: &Results<Figures>) -> String {
    let head = [
        "requests reported",
        "in flight, mean",
        "in flight, most",
        "memory, MB",
        "source late, p99, ms",
    ];
    let table = results.table(&head, |row| {
        vec![
            row.shown(|run| run.reported, 0),
            row.shown(|run| run.in_flight_mean, 1),
            row.shown(|run| run.in_flight_peak, 0),
            row.shown(|run| run.memory_mb, 1),
            row.shown(|run| run.lateness_p99_ms, 2),
        ]
    });
    table.text()
}

fn targets(results: &Results<Figures>, streams: u32) -> Vec<Target> {
    let own = results.row(OWN);
    let target = |figure: &str, bound, unit, of: fn(&Figures) -> f64| Target {
        figure: format!("{figure}, {streams} streams"),
        side: Side::AtMost,
        bound,
        unit,
        measured: own.and_then(|row| row.median(of)),
    };
    match streams {
        32 => vec![
            target("TTFT error, mean", 0.03, " ms", |run| run.errors.ttft.mean),
            target("TTFT error, p99", 0.1, " ms", |run| run.errors.ttft.p99),
        ],
        1024 => vec![
            target("TTFT error, mean", 0.05, " ms", |run| run.errors.ttft.mean),
            target("TTFT error, p50", 0.05, " ms", |run| run.errors.ttft.p50),
            target("TTFT error, p99", 0.2, " ms", |run| run.errors.ttft.p99),
            target("TPOT error, p99", 0.02, " ms", |run| run.errors.tpot.p99),
            target("peak memory", 60.0, " MB", |run| run.memory_mb),
        ],
        _ => Vec::new(),
    }
}

/// Memory in MB of other projects' clients, whose processes are looked at one by one. That takes time
/// on the source's core, so these runs are for nothing else.
fn memory(setup: &Setup, clients: &[&dyn Client], load: Load) -> Results<f64> {
    let rounds = Rounds {
        harness: &setup.harness,
        title: &format!("memory, {} streams", load.streams),
        pace: PACE,
        counts: Counts { own: 0, peer: 1, slow_peer: 1 },
        watched: Watch::Memory,
    };
    // No look may have caught the peak; all together have at least what the largest has.
    let memory_mb = |_: &dyn Client, run: &Run| {
        let seen = run.together_bytes.unwrap_or(0);
        seen.max(run.cost.peak_rss_bytes) as f64 / 1e6
    };
    rounds.measure(clients, |_| load, memory_mb)
}
