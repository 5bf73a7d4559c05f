use std::io::Write;

use super::client::{Client, Kind, Load};
use super::harness::{Harness, Run, Watch};
use super::results::{Results, Runs};
use super::source::Pace;

/// How often clients run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) own: u32,
    pub(crate) peer: u32,
    pub(crate) slow_peer: u32,
}

impl Counts {
    pub(crate) fn of(self, kind: Kind) -> u32 {
        match kind {
            Kind::Own => self.own,
            Kind::Peer => self.peer,
            Kind::SlowPeer => self.slow_peer,
        }
    }
}

/// The same work, done by several clients in turns.
pub(crate) struct Rounds<'a> {
    pub(crate) harness: &'a Harness,
    /// What is being measured, for whoever waits.
    pub(crate) title: &'a str,
    pub(crate) pace: Pace,
    pub(crate) counts: Counts,
    pub(crate) watched: Watch,
}

impl Rounds<'_> {
    /// Runs all, and makes a figure of each run. A client that fails is left out from then on, and
    /// its row says why.
    pub(crate) fn measure<T>(
        &self,
        clients: &[&dyn Client],
        load: impl Fn(&dyn Client) -> Load,
        figure: impl Fn(&dyn Client, &Run) -> T,
    ) -> Results<T> {
        let clients: Vec<&dyn Client> =
            clients.iter().copied().filter(|client| self.counts.of(client.kind()) > 0).collect();
        let mut commands: Vec<Option<String>> = vec![None; clients.len()];
        let mut source = None;
        let attempt = |place: usize, round: u32| {
            let client = clients[place];
            let (title, name, count) = (self.title, client.name(), self.counts.of(client.kind()));
            let elapsed = self.harness.elapsed();
            say(&format!("[{elapsed}] {title}: {name}, run {} of {count}", round + 1));
            let ready = self.harness.prepare(client, load(client), self.pace, self.watched)?;
            if commands[place].is_none() {
                commands[place] = ready.client_line();
            }
            source.get_or_insert_with(|| ready.source_line());
            Ok(figure(client, &ready.run()?))
        };
        let shown = |error: &anyhow::Error| self.harness.shown(error);
        let is_stopped = || self.harness.interrupt.is_set();
        let mut rows = in_turns(&clients, self.counts, is_stopped, shown, attempt);
        for (row, command) in rows.iter_mut().zip(commands) {
            row.command = command;
        }
        Results { rows, source }
    }
}

/// Every round has one run of each client and begins with another one.
fn in_turns<T>(
    clients: &[&dyn Client],
    counts: Counts,
    is_stopped: impl Fn() -> bool,
    shown: impl Fn(&anyhow::Error) -> String,
    attempt: impl FnMut(usize, u32) -> anyhow::Result<T>,
) -> Vec<Runs<T>> {
    let mut attempt = attempt;
    let row = |client: &&dyn Client| Runs::new(client.name(), counts.of(client.kind()));
    let mut rows: Vec<Runs<T>> = clients.iter().map(row).collect();
    let rounds = rows.iter().map(|row| row.wanted).max().unwrap_or(0);
    for round in 0..rounds {
        for step in 0..clients.len() {
            let place = (round as usize + step) % clients.len();
            let row = &mut rows[place];
            if is_stopped() {
                return rows;
            }
            if round >= row.wanted || row.failure.is_some() {
                continue;
            }
            match attempt(place, round) {
                Ok(figure) => row.figures.push(figure),
                // Its processes were ended; it did not fail.
                Err(_) if is_stopped() => return rows,
                Err(error) => {
                    let why = shown(&error);
                    say(&format!("warning: {} failed: {why}", row.name));
                    row.failure = Some(format!("run {} failed: {why}", round + 1));
                }
            }
        }
    }
    rows
}

/// Tells whoever waits.
pub(crate) fn say(line: &str) {
    // Nothing is left to do when stderr is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::process::Command;

    use anyhow::bail;

    use super::{Counts, in_turns};
    use crate::bench::client::{Client, Job, Kind, Reported};

    struct Named(&'static str, Kind);

    impl Client for Named {
        fn name(&self) -> &str {
            self.0
        }

        fn kind(&self) -> Kind {
            self.1
        }

        fn command(&self, _: &Job<'_>) -> anyhow::Result<Command> {
            bail!("not run")
        }

        fn reported(&self, _: &Job<'_>) -> anyhow::Result<Reported> {
            bail!("not run")
        }
    }

    const OWN: Named = Named("own", Kind::Own);
    const PEER: Named = Named("peer", Kind::Peer);
    const SLOW: Named = Named("slow", Kind::SlowPeer);
    const COUNTS: Counts = Counts { own: 3, peer: 2, slow_peer: 1 };

    fn text(error: &anyhow::Error) -> String {
        error.to_string()
    }

    #[test]
    fn every_round_begins_with_another_client() {
        let mut order = Vec::new();
        let rows = in_turns(
            &[&OWN, &PEER, &SLOW],
            COUNTS,
            || false,
            text,
            |place, round| {
                order.push((round, place));
                Ok(place)
            },
        );
        assert_eq!(order, [(0, 0), (0, 1), (0, 2), (1, 1), (1, 0), (2, 0)]);
        assert_eq!(rows.iter().map(|row| row.figures.len()).collect::<Vec<_>>(), [3, 2, 1]);
        assert!(rows.iter().all(|row| row.note().is_none()));
    }

    #[test]
    fn a_client_that_fails_keeps_its_figures_and_the_others_go_on() {
        let rows = in_turns(
            &[&OWN, &PEER],
            COUNTS,
            || false,
            text,
            |place, round| {
                if (place, round) == (0, 1) {
                    bail!("exit code 2: no memory");
                }
                Ok(round)
            },
        );
        assert_eq!((&rows[0].figures[..], &rows[1].figures[..]), (&[0][..], &[0, 1][..]));
        assert_eq!(rows[0].note().as_deref(), Some("run 2 failed: exit code 2: no memory"));
        assert_eq!(rows[1].note(), None);
    }

    #[test]
    fn a_run_cut_off_keeps_what_was_measured() {
        let stopped = Cell::new(false);
        let rows = in_turns(
            &[&OWN, &PEER],
            COUNTS,
            || stopped.get(),
            text,
            |place, round| {
                if (place, round) == (1, 1) {
                    stopped.set(true);
                    bail!("exit code 137");
                }
                Ok(round)
            },
        );
        assert_eq!((rows[0].figures.len(), rows[1].figures.len()), (1, 1));
        assert_eq!(rows[1].note().as_deref(), Some("stopped before run 2"));
    }
}
