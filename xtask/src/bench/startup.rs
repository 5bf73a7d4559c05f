//! From the start of the process to its first request.

use super::client::Load;
use super::harness::Watch;
use super::paper::Paper;
use super::rounds::{Counts, Rounds};
use super::source::Pace;
use super::target::{Side, Target};
use super::{OWN, Setup};

const COUNTS: Counts = Counts { own: 20, peer: 3, slow_peer: 2 };
const COUNTS_QUICK: Counts = Counts { own: 3, peer: 1, slow_peer: 1 };

/// Measures the programs that a user would start.
pub(crate) fn measure(setup: &Setup, paper: &mut Paper) -> anyhow::Result<Vec<Target>> {
    let rounds = Rounds {
        harness: &setup.harness,
        title: "start to first request",
        pace: Pace::default(),
        counts: if setup.options.quick { COUNTS_QUICK } else { COUNTS },
        watched: Watch::Nothing,
    };
    let load = Load { streams: 1, requests: 1, tokens: 1 };
    let results = rounds.measure(
        &setup.whole_programs(),
        |_| load,
        |_, run| {
            let arrival = run.truths.whole.first().map_or(0, |truth| truth.arrival_unix_ns);
            arrival.saturating_sub(run.cost.started_unix_ns) as f64 / 1e6
        },
    );
    let table = results.table(&["start to first request, ms"], |row| vec![row.shown(|&ms| ms, 1)]);
    paper.put(&format!("### Start\n\n{}\n{}", table.text(), results.commands()))?;
    Ok(vec![Target {
        figure: "process start to first request".to_owned(),
        side: Side::AtMost,
        bound: 25.0,
        unit: " ms",
        measured: results.row(OWN).and_then(|row| row.median(|&ms| ms)),
    }])
}
