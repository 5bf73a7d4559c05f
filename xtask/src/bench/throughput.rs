//! Events and requests a second, as fast as they come.

use super::client::Load;
use super::harness::Watch;
use super::rounds::Rounds;
use super::source::Pace;
use super::statistics::Spread;
use super::table::Table;
use super::target::{Side, Target};
use super::{NULL, OWN, SPINNING, Setup};

const STREAMS: u32 = 32;
const EVENTS_PER_WRITE: u32 = 16;

/// Figures of one client, run by run.
#[derive(Debug)]
struct Row {
    name: String,
    events_per_s: Vec<f64>,
    requests_per_s: Vec<f64>,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Throughput {
    rows: Vec<Row>,
    batched: Load,
    single: Load,
}

impl Throughput {
    pub(crate) fn measure(setup: &Setup) -> anyhow::Result<Self> {
        let load = |requests, tokens| Load { streams: STREAMS, requests, tokens };
        let (batched, single) = if setup.options.quick {
            (load(256, 1024), load(4000, 1))
        } else {
            // The source writes its truth in the midst of things from 65,536 requests on.
            (load(2048, 2048), load(50_000, 1))
        };
        let mut clients = setup.own();
        clients.insert(0, &setup.spinning);
        let measure = |title, load: Load, events_per_write| {
            let rounds = Rounds {
                harness: &setup.harness,
                title,
                pace: Pace { events_per_write, ..Pace::default() },
                runs: setup.options.runs(),
                peer_runs: 0,
                watched: Watch::Nothing,
            };
            rounds.measure(&clients, |_| load, |_, run| run.truths.span_s())
        };
        let batched_s = measure("16 events a write", batched, EVENTS_PER_WRITE)?;
        let single_s = measure("one-token answers", single, 1)?;
        let per_s = |count: f64, spans: &[f64]| spans.iter().map(|span| count / span).collect();
        let rows = clients.iter().zip(batched_s.iter().zip(&single_s));
        let rows = rows.map(|(client, (batched_s, single_s))| Row {
            name: client.name().to_owned(),
            events_per_s: per_s(batched.events() as f64, batched_s),
            requests_per_s: per_s(f64::from(single.requests), single_s),
        });
        Ok(Self { rows: rows.collect(), batched, single })
    }

    /// Round by round, what share of a null client's figure a client reaches.
    fn ratios(&self, row: &Row, null: &str, figure: fn(&Row) -> &[f64]) -> Option<Spread> {
        let null = figure(self.rows.iter().find(|row| row.name == null)?);
        let ratios: Vec<f64> = figure(row).iter().zip(null).map(|(own, null)| own / null).collect();
        Spread::of(&ratios)
    }

    pub(crate) fn text(&self) -> String {
        let (null, spinning) = ("of null", "of spinning null");
        let (events, requests) = ("k events/s", "k requests/s");
        let head = ["client", events, null, spinning, requests, null, spinning];
        let mut table = Table::new(&head);
        for row in &self.rows {
            let shown = |values: &[f64], digits| {
                let values: Vec<f64> = values.iter().map(|value| value / 1e3).collect();
                Spread::shown_or_dash(Spread::of(&values), digits)
            };
            let ratio = |null, figure: fn(&Row) -> &[f64]| {
                Spread::shown_or_dash(self.ratios(row, null, figure), 2)
            };
            table.row(vec![
                row.name.clone(),
                shown(&row.events_per_s, 0),
                ratio(NULL, |row| &row.events_per_s),
                ratio(SPINNING, |row| &row.events_per_s),
                shown(&row.requests_per_s, 1),
                ratio(NULL, |row| &row.requests_per_s),
                ratio(SPINNING, |row| &row.requests_per_s),
            ]);
        }
        let Self { batched, single, .. } = self;
        format!(
            "At full speed on {STREAMS} connections: {} answers of {} tokens, {EVENTS_PER_WRITE} \
             events in a write; {} answers of one token. From the arrival of the first request to \
             the last token's write, by the source.\n\n{}",
            batched.requests,
            batched.tokens,
            single.requests,
            table.text()
        )
    }

    /// Held against both null clients: one sleeps when there is nothing to read, as turnbench does,
    /// and the other takes the most that the source can deliver.
    pub(crate) fn targets(&self) -> [Target; 4] {
        let own = self.rows.iter().find(|row| row.name == OWN);
        let target = |figure: &str, bound, null, unit, of: fn(&Row) -> &[f64]| Target {
            figure: figure.to_owned(),
            side: Side::AtLeast,
            bound,
            unit,
            measured: own.and_then(|own| self.ratios(own, null, of)).map(|spread| spread.median),
        };
        let (events, requests) = ("events/s, 16 events a write", "requests/s, one-token answers");
        let (of_null, of_spinning) = (" of null", " of spinning null");
        [
            target(events, 0.7, NULL, of_null, |row| &row.events_per_s),
            target(events, 0.7, SPINNING, of_spinning, |row| &row.events_per_s),
            target(requests, 0.6, NULL, of_null, |row| &row.requests_per_s),
            target(requests, 0.6, SPINNING, of_spinning, |row| &row.requests_per_s),
        ]
    }
}
