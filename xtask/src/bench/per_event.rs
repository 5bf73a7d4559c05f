//! CPU time an event, where every event comes alone.

use super::client::{Client, Load};
use super::harness::{Run, Watch};
use super::rounds::Rounds;
use super::source::Pace;
use super::statistics::Spread;
use super::table::Table;
use super::target::{Side, Target};
use super::{NULL, OWN, Setup};

const STREAMS: u32 = 32;
/// Runs of other projects' clients.
const PEER_RUNS: u32 = 3;

/// How often events come, and how many. At full speed a slow client finds several events in one read,
/// which makes it look fast: so the source is paced, slowly enough for each client.
#[derive(Clone, Copy, Debug)]
struct Rate {
    title: &'static str,
    /// Between the events of a stream.
    itl_ms: f64,
    requests: u32,
    tokens: u32,
}

/// 80,000 events a second.
const FAST: Rate =
    Rate { title: "80,000 events a second", itl_ms: 0.4, requests: 2048, tokens: 512 };
/// 8,000 events a second: what clients in Python carry on one core.
const SLOW: Rate = Rate { title: "8,000 events a second", itl_ms: 4.0, requests: 128, tokens: 512 };

impl Rate {
    fn load(self, quick: bool) -> Load {
        let requests = if quick { STREAMS * 2 } else { self.requests };
        Load { streams: STREAMS, requests, tokens: self.tokens }
    }
}

/// Figures of one client at one rate, run by run.
#[derive(Debug)]
struct Row {
    name: String,
    runs: Vec<Figures>,
}

#[derive(Clone, Copy, Debug)]
struct Figures {
    cpu_us: f64,
    /// NaN where the client does not count its reads.
    events_per_read: f64,
    /// Share of its time in which the source was on its core.
    source_busy: f64,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct PerEvent {
    rates: Vec<(Rate, Load, Vec<Row>)>,
}

impl PerEvent {
    pub(crate) fn measure(setup: &Setup) -> anyhow::Result<Self> {
        let start_up = StartUp::measure(setup)?;
        let peers = || setup.peers();
        let fast = setup.own().into_iter().chain(peers().filter(|client| client.keeps_up()));
        let mut rates = vec![(FAST, fast.collect::<Vec<_>>())];
        if peers().next().is_some() {
            let slow = [&setup.bare[0] as &dyn Client, &setup.turnbench];
            rates.push((SLOW, slow.into_iter().chain(peers()).collect()));
        }
        let measure = |(rate, clients): (Rate, Vec<&dyn Client>)| {
            let rounds = Rounds {
                harness: &setup.harness,
                title: rate.title,
                pace: Pace { itl_ms: rate.itl_ms, ..Pace::default() },
                runs: setup.options.runs(),
                peer_runs: PEER_RUNS,
                watched: Watch::Nothing,
            };
            let load = rate.load(setup.options.quick);
            let figures =
                |client: &dyn Client, run: &Run| figures(run, start_up.cpu_s(client.name()));
            let runs = rounds.measure(&clients, |_| load, figures)?;
            let names = clients.iter().map(|client| client.name().to_owned());
            let rows = names.zip(runs).map(|(name, runs)| Row { name, runs });
            Ok((rate, load, rows.collect()))
        };
        let rates = rates.into_iter().map(measure).collect::<anyhow::Result<_>>()?;
        Ok(Self { rates })
    }

    pub(crate) fn text(&self) -> String {
        let part = |(rate, load, rows): &(Rate, Load, Vec<Row>)| {
            format!(
                "{}, each in a write of its own, on {STREAMS} connections; {} answers of {} \
                 tokens:\n\n{}\n",
                rate.title,
                load.requests,
                load.tokens,
                table(rows).text()
            )
        };
        self.rates.iter().map(part).collect()
    }

    pub(crate) fn target(&self) -> Target {
        let (_, _, rows) = &self.rates[0];
        let own = rows.iter().find(|row| row.name == OWN);
        Target {
            figure: "CPU an event, one event a read".to_owned(),
            side: Side::AtMost,
            bound: 1.15,
            unit: " × null",
            measured: own
                .and_then(|own| Spread::of(&ratios(own, rows)))
                .map(|spread| spread.median),
        }
    }
}

fn figures(run: &Run, start_up_cpu_s: f64) -> Figures {
    let tokens = run.truths.tokens() as f64;
    Figures {
        cpu_us: (run.cost.cpu_s - start_up_cpu_s) * 1e6 / tokens,
        events_per_read: run.reported.reads.map_or(f64::NAN, |reads| tokens / reads as f64),
        source_busy: run.source_cpu_s / run.truths.span_s(),
    }
}

/// How often, round by round, a client's CPU time contains the null client's.
fn ratios(row: &Row, rows: &[Row]) -> Vec<f64> {
    let null = rows.iter().find(|row| row.name == NULL).map_or(&[][..], |row| &row.runs);
    row.runs.iter().zip(null).map(|(run, null)| run.cpu_us / null.cpu_us).collect()
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "client",
        "CPU s per 1,000 events",
        "× null",
        "events a read",
        "source's core in use",
    ]);
    for row in rows {
        let shown = |figure: fn(&Figures) -> f64, digits| {
            let values: Vec<f64> = row.runs.iter().map(figure).collect();
            Spread::shown_or_dash(Spread::of(&values), digits)
        };
        table.row(vec![
            row.name.clone(),
            shown(|run| run.cpu_us / 1e3, 5),
            Spread::shown_or_dash(Spread::of(&ratios(row, rows)), 2),
            shown(|run| run.events_per_read, 2),
            shown(|run| run.source_busy, 2),
        ]);
    }
    table
}

/// CPU time that other projects' clients take for starting up.
struct StartUp(Vec<(String, f64)>);

impl StartUp {
    /// From one run each, with as many connections and one token a connection.
    fn measure(setup: &Setup) -> anyhow::Result<Self> {
        let peers: Vec<&dyn Client> = setup.peers().collect();
        let rounds = Rounds {
            harness: &setup.harness,
            title: "start-up",
            pace: Pace::default(),
            runs: 1,
            peer_runs: 1,
            watched: Watch::Nothing,
        };
        let load = Load { streams: STREAMS, requests: STREAMS, tokens: 1 };
        let costs = rounds.measure(&peers, |_| load, |_, run| run.cost.cpu_s)?;
        let names = peers.iter().map(|client| client.name().to_owned());
        Ok(Self(
            names.zip(costs.iter().map(|costs| costs.first().copied().unwrap_or(0.0))).collect(),
        ))
    }

    /// 0 for clients of this repository, whose start is nothing beside a run.
    fn cpu_s(&self, name: &str) -> f64 {
        self.0.iter().find(|(known, _)| known == name).map_or(0.0, |&(_, cpu_s)| cpu_s)
    }
}
