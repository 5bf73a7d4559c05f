//! Events and requests a second, as fast as they come.

use super::client::Load;
use super::rounds::Rounds;
use super::source::Pace;
use super::statistics::Spread;
use super::table::Table;
use super::target::{Side, Target};
use super::{NULL, OWN, Setup};

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
        let clients = setup.own();
        let measure = |title, load: Load, events_per_write| {
            let rounds = Rounds {
                harness: &setup.harness,
                title,
                pace: Pace { events_per_write, ..Pace::default() },
                runs: setup.options.runs(),
                peer_runs: 0,
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

    /// Round by round, what share of the null client's figure a client reaches.
    fn ratios(&self, row: &Row, figure: fn(&Row) -> &[f64]) -> Option<Spread> {
        let null = figure(self.rows.iter().find(|row| row.name == NULL)?);
        let ratios: Vec<f64> = figure(row).iter().zip(null).map(|(own, null)| own / null).collect();
        Spread::of(&ratios)
    }

    pub(crate) fn text(&self) -> String {
        let mut table = Table::new(&["client", "k events/s", "of null", "k requests/s", "of null"]);
        for row in &self.rows {
            let shown = |values: &[f64], digits| {
                let values: Vec<f64> = values.iter().map(|value| value / 1e3).collect();
                Spread::shown_or_dash(Spread::of(&values), digits)
            };
            table.row(vec![
                row.name.clone(),
                shown(&row.events_per_s, 0),
                Spread::shown_or_dash(self.ratios(row, |row| &row.events_per_s), 2),
                shown(&row.requests_per_s, 1),
                Spread::shown_or_dash(self.ratios(row, |row| &row.requests_per_s), 2),
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

    pub(crate) fn targets(&self) -> [Target; 2] {
        let own = self.rows.iter().find(|row| row.name == OWN);
        let target = |figure: &str, bound, of: fn(&Row) -> &[f64]| Target {
            figure: figure.to_owned(),
            side: Side::AtLeast,
            bound,
            unit: " of null",
            measured: own.and_then(|own| self.ratios(own, of)).map(|spread| spread.median),
        };
        [
            target("events/s, 16 events a write", 0.7, |row| &row.events_per_s),
            target("requests/s, one-token answers", 0.6, |row| &row.requests_per_s),
        ]
    }
}
