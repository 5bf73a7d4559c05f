//! What clients report of requests, against what the source wrote down about them; and memory.

use super::client::{Client, Load};
use super::error::Errors;
use super::harness::{Run, Watch};
use super::rounds::Rounds;
use super::source::Pace;
use super::statistics::{Spread, quantile};
use super::table::Table;
use super::target::{Side, Target};
use super::truth::Truth;
use super::{OWN, Setup};

/// Requests at the same time, all sent at once.
const STREAMS: [u32; 5] = [1, 32, 256, 1024, 4096];
const STREAMS_QUICK: [u32; 3] = [1, 32, 256];
/// Where other projects' clients are measured too.
const STREAMS_PEERS: [u32; 2] = [32, 1024];
/// Requests of a run, at least: with one stream, one after another.
const REQUESTS_MIN: u32 = 20;
/// Runs of other projects' clients.
const PEER_RUNS: u32 = 3;
const PACE: Pace = Pace { events_per_write: 1, ttft_ms: 50.0, itl_ms: 10.0 };
const TOKENS: u32 = 100;
const TOKENS_QUICK: u32 = 20;
/// Streams at which memory is measured.
const MEMORY_STREAMS: u32 = 1024;

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
    /// Largest resident set; NaN of clients that may have several processes.
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

/// One client with so many streams.
#[derive(Debug)]
struct Row {
    streams: u32,
    name: String,
    runs: Vec<Figures>,
    /// Of clients that may have several processes, from runs of their own.
    together_mb: Vec<f64>,
}

impl Row {
    fn spread(&self, figure: impl Fn(&Figures) -> f64) -> Option<Spread> {
        Spread::of(&self.runs.iter().map(figure).collect::<Vec<_>>())
    }

    fn median(&self, figure: impl Fn(&Figures) -> f64) -> Option<f64> {
        self.spread(figure).map(|spread| spread.median)
    }
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Fidelity {
    rows: Vec<Row>,
}

impl Fidelity {
    pub(crate) fn measure(setup: &Setup) -> anyhow::Result<Self> {
        let (streams, tokens) = if setup.options.quick {
            (&STREAMS_QUICK[..], TOKENS_QUICK)
        } else {
            (&STREAMS[..], TOKENS)
        };
        let mut rows = Vec::new();
        for &streams in streams {
            let peers = setup.peers.found.iter().map(AsRef::as_ref);
            let clients: Vec<&dyn Client> = [&setup.turnbench as &dyn Client, &setup.warm]
                .into_iter()
                .chain(peers.filter(|_| STREAMS_PEERS.contains(&streams)))
                .collect();
            let rounds = Rounds {
                harness: &setup.harness,
                title: &format!("fidelity, {streams} streams"),
                pace: PACE,
                runs: setup.options.runs(),
                peer_runs: PEER_RUNS,
                watched: Watch::Nothing,
            };
            let load = Load { streams, requests: streams.max(REQUESTS_MIN), tokens };
            let runs = rounds.measure(&clients, |_| load, Figures::of)?;
            let memory = memory(setup, &clients, load)?;
            for (client, (runs, together_mb)) in clients.iter().zip(runs.into_iter().zip(memory)) {
                rows.push(Row { streams, name: client.name().to_owned(), runs, together_mb });
            }
        }
        Ok(Self { rows })
    }

    pub(crate) fn text(&self) -> String {
        let unmatched = self.rows.iter().flat_map(|row| &row.runs).any(|run| !run.errors.matched);
        let note = if unmatched { UNMATCHED } else { "" };
        format!(
            "The first token after {} ms, each next one after {} ms; all streams start together. How \
             far what the client reports is from what the source wrote down, in ms:\n\n{}{note}\nWhat \
             was asked, and what was done:\n\n{}",
            PACE.ttft_ms,
            PACE.itl_ms,
            self.error_table().text(),
            self.load_table().text()
        )
    }

    fn error_table(&self) -> Table {
        let mut table = Table::new(&[
            "streams",
            "client",
            "TTFT error mean",
            "p50",
            "p99",
            "max",
            "TPOT error p99",
            "ITL error p99",
            "read delay p99",
        ]);
        for row in &self.rows {
            let cell =
                |figure: &dyn Fn(&Figures) -> f64| Spread::shown_or_dash(row.spread(figure), 3);
            let unmatched = row.runs.iter().any(|run| !run.errors.matched);
            table.row(vec![
                row.streams.to_string(),
                format!("{}{}", row.name, if unmatched { " *" } else { "" }),
                cell(&|run| run.errors.ttft.mean),
                cell(&|run| run.errors.ttft.p50),
                cell(&|run| run.errors.ttft.p99),
                cell(&|run| run.errors.ttft.max),
                cell(&|run| run.errors.tpot.p99),
                cell(&|run| run.errors.itl.p99),
                cell(&|run| run.delay_p99_ms),
            ]);
        }
        table
    }

    /// What was asked of clients, and of the source, and what they did.
    fn load_table(&self) -> Table {
        let mut table = Table::new(&[
            "streams",
            "client",
            "requests reported",
            "in flight, mean",
            "in flight, most",
            "memory, MB",
            "source late, p99, ms",
        ]);
        for row in &self.rows {
            table.row(vec![
                row.streams.to_string(),
                row.name.clone(),
                Spread::shown_or_dash(row.spread(|run| run.reported), 0),
                Spread::shown_or_dash(row.spread(|run| run.in_flight_mean), 1),
                Spread::shown_or_dash(row.spread(|run| run.in_flight_peak), 0),
                Spread::shown_or_dash(
                    row.spread(|run| run.memory_mb).or_else(|| Spread::of(&row.together_mb)),
                    1,
                ),
                Spread::shown_or_dash(row.spread(|run| run.lateness_p99_ms), 2),
            ]);
        }
        table
    }

    pub(crate) fn targets(&self) -> Vec<Target> {
        let own = |streams| self.rows.iter().find(|row| row.streams == streams && row.name == OWN);
        let target = |streams: u32, figure: &str, bound, unit, of: fn(&Figures) -> f64| Target {
            figure: format!("{figure}, {streams} streams"),
            side: Side::AtMost,
            bound,
            unit,
            measured: own(streams).and_then(|row| row.median(of)),
        };
        vec![
            target(1024, "TTFT error, mean", 0.05, " ms", |run| run.errors.ttft.mean),
            target(1024, "TTFT error, p50", 0.05, " ms", |run| run.errors.ttft.p50),
            target(1024, "TTFT error, p99", 0.2, " ms", |run| run.errors.ttft.p99),
            target(32, "TTFT error, mean", 0.03, " ms", |run| run.errors.ttft.mean),
            target(32, "TTFT error, p99", 0.1, " ms", |run| run.errors.ttft.p99),
            target(1024, "TPOT error, p99", 0.02, " ms", |run| run.errors.tpot.p99),
            target(MEMORY_STREAMS, "peak memory", 60.0, " MB", |run| run.memory_mb),
        ]
    }
}

/// Memory of other projects' clients, whose processes are looked at one by one. That takes time on the
/// source's core, so these runs are for nothing else.
fn memory(setup: &Setup, clients: &[&dyn Client], load: Load) -> anyhow::Result<Vec<Vec<f64>>> {
    let rounds = Rounds {
        harness: &setup.harness,
        title: &format!("memory, {} streams", load.streams),
        pace: PACE,
        runs: 1,
        peer_runs: 1,
        watched: Watch::Memory,
    };
    let peers: Vec<&dyn Client> =
        clients.iter().copied().filter(|client| client.is_peer()).collect();
    // No look may have caught the peak; all together have at least what the largest has.
    let memory_mb = |_: &dyn Client, run: &Run| {
        let seen = run.together_bytes.unwrap_or(0);
        seen.max(run.cost.peak_rss_bytes) as f64 / 1e6
    };
    let mut of_peers = rounds.measure(&peers, |_| load, memory_mb)?.into_iter();
    let of = |client: &&dyn Client| {
        if client.is_peer() { of_peers.next().unwrap_or_default() } else { Vec::new() }
    };
    Ok(clients.iter().map(of).collect())
}
