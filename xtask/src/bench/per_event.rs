//! CPU time an event, where every event comes alone.

use super::client::{Client, Load};
use super::harness::{Run, Watch};
use super::paper::Paper;
use super::results::Results;
use super::rounds::{Counts, Rounds};
use super::source::Pace;
use super::start_cost::StartCost;
use super::statistics::Spread;
use super::target::{Side, Target};
use super::{NULL, OWN, STREAMS, Setup};

/// How often events come, and how many. At full speed a slow client finds several events in one read,
/// which makes it look fast: so the source is paced, slowly enough for each client.
#[derive(Clone, Copy, Debug)]
struct Rate {
    title: &'static str,
    /// Between the events of a stream.
    itl_ms: f64,
    requests: u32,
    requests_quick: u32,
    counts: Counts,
}

const TOKENS: u32 = 512;
/// 6.5 s.
const FAST: Rate = Rate {
    title: "80,000 events a second",
    itl_ms: 0.4,
    requests: 1024,
    requests_quick: 128,
    counts: Counts { own: 5, peer: 3, slow_peer: 0 },
};
/// What clients in Python carry on one core; 8 s.
const SLOW: Rate = Rate {
    title: "8,000 events a second",
    itl_ms: 4.0,
    requests: 128,
    requests_quick: 32,
    counts: Counts { own: 3, peer: 3, slow_peer: 2 },
};

#[derive(Clone, Copy, Debug)]
struct Figures {
    cpu_us: f64,
    /// NaN where the client does not count its reads.
    events_per_read: f64,
    /// Share of its time in which the source was on its core.
    source_busy: f64,
}

/// Measures at both rates, at the slower one only what other projects' clients are compared with.
pub(crate) fn measure(
    setup: &Setup,
    start_cost: &StartCost,
    paper: &mut Paper,
) -> anyhow::Result<Vec<Target>> {
    let all: Vec<&dyn Client> = setup.own().into_iter().chain(setup.peers()).collect();
    let results = at(setup, start_cost, FAST, &all, paper)?;
    if setup.peers().next().is_some() && !setup.is_stopped() {
        let few = [&setup.bare[0] as &dyn Client, &setup.turnbench].into_iter();
        at(setup, start_cost, SLOW, &few.chain(setup.peers()).collect::<Vec<_>>(), paper)?;
    }
    let ratio = results.row(OWN).and_then(|own| results.ratio(own, NULL, |run| run.cpu_us));
    Ok(vec![Target {
        figure: "CPU an event, one event a read".to_owned(),
        side: Side::AtMost,
        bound: 1.15,
        unit: " × null",
        measured: ratio.map(|spread| spread.median),
    }])
}

fn at(
    setup: &Setup,
    start_cost: &StartCost,
    rate: Rate,
    clients: &[&dyn Client],
    paper: &mut Paper,
) -> anyhow::Result<Results<Figures>> {
    let rounds = Rounds {
        harness: &setup.harness,
        title: rate.title,
        pace: Pace { itl_ms: rate.itl_ms, ..Pace::default() },
        counts: setup.options.counts(rate.counts),
        watched: Watch::Nothing,
    };
    let requests = if setup.options.quick { rate.requests_quick } else { rate.requests };
    let load = Load { streams: STREAMS, requests, tokens: TOKENS };
    let figures = |client: &dyn Client, run: &Run| figures(run, start_cost.cpu_s(client));
    let results = rounds.measure(clients, |_| load, figures);
    paper.put(&format!(
        "### {}, one by one\n\nEach event in a write of its own, on {STREAMS} connections; {requests} \
         answers of {TOKENS} tokens.\n\n{}\n{}",
        rate.title,
        table(&results),
        results.commands()
    ))?;
    Ok(results)
}

fn figures(run: &Run, start_cpu_s: f64) -> Figures {
    let tokens = run.truths.tokens() as f64;
    Figures {
        cpu_us: (run.cost.cpu_s - start_cpu_s) * 1e6 / tokens,
        events_per_read: run.reported.reads.map_or(f64::NAN, |reads| tokens / reads as f64),
        source_busy: run.source_cpu_s / run.truths.span_s(),
    }
}

fn table(results: &Results<Figures>) -> String {
    let head = ["CPU s per 1,000 events", "× null", "events a read", "source's core in use"];
    let table = results.table(&head, |row| {
        vec![
            row.shown(|run| run.cpu_us / 1e3, 5),
            Spread::shown_or_dash(results.ratio(row, NULL, |run| run.cpu_us), 2),
            row.shown(|run| run.events_per_read, 2),
            row.shown(|run| run.source_busy, 2),
        ]
    });
    table.text()
}
