use super::Setup;
use super::client::{Client, Load};
use super::harness::Watch;
use super::results::Runs;
use super::rounds::{Counts, Rounds};
use super::source::Pace;

/// CPU time that other projects' clients take for starting up.
#[derive(Debug)]
pub(crate) struct StartCost(Vec<(String, f64)>);

impl StartCost {
    /// From one run each, with as many connections and one token a connection.
    pub(crate) fn measure(setup: &Setup, streams: u32) -> Self {
        let peers: Vec<&dyn Client> = setup.peers().collect();
        let rounds = Rounds {
            harness: &setup.harness,
            title: "CPU time of starting up",
            pace: Pace::default(),
            counts: Counts { own: 0, peer: 1, slow_peer: 1 },
            watched: Watch::Nothing,
        };
        let load = Load { streams, requests: streams, tokens: 1 };
        let results = rounds.measure(&peers, |_| load, |_, run| run.cost.cpu_s);
        let cost =
            |row: &Runs<f64>| (row.name.clone(), row.figures.first().copied().unwrap_or(f64::NAN));
        Self(results.rows.iter().map(cost).collect())
    }

    /// 0 for clients of this repository, whose start is nothing beside a run; NaN where it could not be
    /// measured.
    pub(crate) fn cpu_s(&self, client: &dyn Client) -> f64 {
        let known = self.0.iter().find(|(name, _)| name == client.name());
        known.map_or(if client.is_peer() { f64::NAN } else { 0.0 }, |&(_, cpu_s)| cpu_s)
    }
}
