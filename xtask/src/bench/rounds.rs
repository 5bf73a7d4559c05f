use std::io::Write;

use super::client::{Client, Load};
use super::harness::{Harness, Run, Watch};
use super::source::Pace;

/// The same work, done by several clients in turns.
pub(crate) struct Rounds<'a> {
    pub(crate) harness: &'a Harness,
    /// What is being measured, for whoever waits.
    pub(crate) title: &'a str,
    pub(crate) pace: Pace,
    /// Runs of each client.
    pub(crate) runs: u32,
    /// Runs of other projects' clients, if these are fewer.
    pub(crate) peer_runs: u32,
    pub(crate) watched: Watch,
}

impl Rounds<'_> {
    /// Runs all; returns a figure of each client's each run. Every round begins with another client.
    ///
    /// # Errors
    /// When a client of this project fails. Of another's, only its figures are missing then.
    pub(crate) fn measure<T>(
        &self,
        clients: &[&dyn Client],
        load: impl Fn(&dyn Client) -> Load,
        figure: impl Fn(&dyn Client, &Run) -> T,
    ) -> anyhow::Result<Vec<Vec<T>>> {
        let mut figures: Vec<Vec<T>> = clients.iter().map(|_| Vec::new()).collect();
        let mut failed = vec![false; clients.len()];
        for round in 0..self.runs {
            for step in 0..clients.len() {
                let place = (round as usize + step) % clients.len();
                let client = clients[place];
                if client.is_peer() && (round >= self.peer_runs || failed[place]) {
                    continue;
                }
                let (title, name, runs) = (self.title, client.name(), self.runs);
                say(&format!("{title}: {name}, {} of {runs}", round + 1));
                match self.harness.run(client, load(client), self.pace, self.watched) {
                    Ok(run) => figures[place].push(figure(client, &run)),
                    Err(error) if client.is_peer() => {
                        say(&format!("warning: {error:#}"));
                        failed[place] = true;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(figures)
    }
}

/// Tells whoever waits.
pub(crate) fn say(line: &str) {
    // Nothing is left to do when stderr is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
