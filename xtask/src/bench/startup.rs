//! From the start of the process to its first request.

use super::client::Load;
use super::harness::Watch;
use super::rounds::Rounds;
use super::source::Pace;
use super::statistics::Spread;
use super::table::Table;
use super::target::{Side, Target};
use super::{OWN, Setup};

const RUNS: u32 = 20;
const RUNS_QUICK: u32 = 3;
/// Runs of other projects' clients.
const PEER_RUNS: u32 = 3;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Startup {
    /// Client, and milliseconds run by run.
    rows: Vec<(String, Vec<f64>)>,
}

impl Startup {
    pub(crate) fn measure(setup: &Setup) -> anyhow::Result<Self> {
        let rounds = Rounds {
            harness: &setup.harness,
            title: "start to first request",
            pace: Pace::default(),
            runs: if setup.options.quick { RUNS_QUICK } else { RUNS },
            peer_runs: PEER_RUNS,
            watched: Watch::Nothing,
        };
        let load = Load { streams: 1, requests: 1, tokens: 1 };
        let clients = setup.whole_programs();
        let times = rounds.measure(
            &clients,
            |_| load,
            |_, run| {
                let arrival = run.truths.whole.first().map_or(0, |truth| truth.arrival_unix_ns);
                arrival.saturating_sub(run.cost.started_unix_ns) as f64 / 1e6
            },
        )?;
        let names = clients.iter().map(|client| client.name().to_owned());
        Ok(Self { rows: names.zip(times).collect() })
    }

    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(&["client", "start to first request, ms"]);
        for (name, times) in &self.rows {
            table.row(vec![name.clone(), Spread::shown_or_dash(Spread::of(times), 1)]);
        }
        table
    }

    pub(crate) fn target(&self) -> Target {
        let own = self.rows.iter().find(|(name, _)| name == OWN);
        Target {
            figure: "process start to first request".to_owned(),
            side: Side::AtMost,
            bound: 25.0,
            unit: " ms",
            measured: own.and_then(|(_, times)| Some(Spread::of(times)?.median)),
        }
    }
}
