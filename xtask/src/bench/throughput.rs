//! Events and requests a second, as fast as they come.

use super::client::{Client, Kind, Load};
use super::harness::{Run, Watch};
use super::paper::Paper;
use super::results::Results;
use super::rounds::{Counts, Rounds};
use super::source::Pace;
use super::start_cost::StartCost;
use super::statistics::{Spread, number};
use super::target::{Side, Target};
use super::{NULL, OWN, SPINNING, STREAMS, Setup};

const COUNTS: Counts = Counts { own: 5, peer: 3, slow_peer: 1 };

/// What is counted, and how much of it there is: enough for two seconds of the fastest client, and for
/// half a second with `--quick`.
#[derive(Clone, Copy, Debug)]
struct Measure {
    title: &'static str,
    /// What is counted.
    noun: &'static str,
    /// The column of CPU time.
    cpu: &'static str,
    digits: usize,
    events_per_write: u32,
    tokens: u32,
    requests: Requests,
    requests_quick: Requests,
    bound: f64,
}

/// Requests of a run; a slow client has fewer, as it needs longer for each.
#[derive(Clone, Copy, Debug)]
struct Requests {
    own: u32,
    peer: u32,
    slow_peer: u32,
}

impl Requests {
    fn of(self, kind: Kind) -> u32 {
        match kind {
            Kind::Own => self.own,
            Kind::Peer => self.peer,
            Kind::SlowPeer => self.slow_peer,
        }
    }
}

const EVENTS: Measure = Measure {
    title: "16 events a write",
    noun: "events",
    cpu: "CPU s per 1,000 events",
    digits: 5,
    events_per_write: 16,
    tokens: 2048,
    requests: Requests { own: 3072, peer: 768, slow_peer: 64 },
    requests_quick: Requests { own: 1024, peer: 256, slow_peer: 32 },
    bound: 0.7,
};

const REQUESTS: Measure = Measure {
    title: "one-token answers",
    noun: "requests",
    cpu: "CPU s per 1,000 requests",
    digits: 4,
    events_per_write: 1,
    tokens: 1,
    // The source writes its truth in the midst of things beyond 262,144 requests.
    requests: Requests { own: 260_000, peer: 60_000, slow_peer: 1000 },
    requests_quick: Requests { own: 65_000, peer: 15_000, slow_peer: 200 },
    bound: 0.6,
};

/// Figures of a run.
#[derive(Clone, Copy, Debug)]
struct Figures {
    per_s: f64,
    /// Time of the whole process on a core, for a thousand.
    cpu_s: f64,
}

/// Measures events and requests, all clients.
pub(crate) fn measure(
    setup: &Setup,
    start_cost: &StartCost,
    paper: &mut Paper,
) -> anyhow::Result<Vec<Target>> {
    let mut targets = one(setup, start_cost, EVENTS, paper)?;
    if !setup.is_stopped() {
        targets.extend(one(setup, start_cost, REQUESTS, paper)?);
    }
    Ok(targets)
}

fn one(
    setup: &Setup,
    start_cost: &StartCost,
    measure: Measure,
    paper: &mut Paper,
) -> anyhow::Result<Vec<Target>> {
    let spinning = [&setup.spinning as &dyn Client].into_iter();
    let clients: Vec<&dyn Client> = spinning.chain(setup.own()).chain(setup.peers()).collect();
    let requests = if setup.options.quick { measure.requests_quick } else { measure.requests };
    let rounds = Rounds {
        harness: &setup.harness,
        title: measure.title,
        pace: Pace { events_per_write: measure.events_per_write, ..Pace::default() },
        counts: setup.options.counts(COUNTS),
        watched: Watch::Nothing,
    };
    let load = |client: &dyn Client| Load {
        streams: STREAMS,
        requests: requests.of(client.kind()),
        tokens: measure.tokens,
    };
    let figures = |client: &dyn Client, run: &Run| {
        let done = run.truths.whole.len() as f64 * f64::from(measure.tokens);
        let cpu_s = run.cost.cpu_s - start_cost.cpu_s(client);
        Figures { per_s: done / run.truths.span_s(), cpu_s: cpu_s * 1e3 / done }
    };
    let results = rounds.measure(&clients, load, figures);
    let shown = |count: u32| number(f64::from(count), 0);
    paper.put(&format!(
        "### Full speed, {}\n\nOn {STREAMS} connections, tokens an answer: {}; answers: {}, of \
         vllm-bench {}, of slower peers {}. From the arrival of the first request to the last token's \
         write, by the source.\n\n{}\n{}",
        measure.title,
        shown(measure.tokens),
        shown(requests.own),
        shown(requests.peer),
        shown(requests.slow_peer),
        table(&results, measure),
        results.commands()
    ))?;
    Ok(targets(&results, measure))
}

fn table(results: &Results<Figures>, measure: Measure) -> String {
    let thousands = format!("k {}/s", measure.noun);
    let head = [&*thousands, "of null", "of spinning null", measure.cpu];
    let table = results.table(&head, |row| {
        let ratio =
            |null| Spread::shown_or_dash(results.ratio(row, null, |run: &Figures| run.per_s), 2);
        vec![
            row.shown(|run| run.per_s / 1e3, 1),
            ratio(NULL),
            ratio(SPINNING),
            row.shown(|run| run.cpu_s, measure.digits),
        ]
    });
    table.text()
}

/// Held against both null clients: one sleeps when there is nothing to read, as turnbench does, and
/// the other takes the most that the source can deliver.
fn targets(results: &Results<Figures>, measure: Measure) -> Vec<Target> {
    let target = |(null, unit)| Target {
        figure: format!("{}/s, {}", measure.noun, measure.title),
        side: Side::AtLeast,
        bound: measure.bound,
        unit,
        measured: results
            .row(OWN)
            .and_then(|own| results.ratio(own, null, |run| run.per_s))
            .map(|spread| spread.median),
    };
    [(NULL, " of null"), (SPINNING, " of spinning null")].map(target).into()
}
