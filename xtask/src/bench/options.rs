use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use super::rounds::Counts;

/// The most runs that any part makes of each client without `--runs`, start-up apart.
const RUNS: u32 = 5;

/// What to measure.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench",
    about = "Measures turnbench beside other clients; benches/README.md tells how"
)]
pub(crate) struct Options {
    /// Little work and one run of each: shows that everything works, not how fast
    #[arg(long)]
    pub(crate) quick: bool,

    /// Only these parts; the document is left alone
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,

    /// Runs of each client (start-up has its own; slow clients make fewer); below 5 the document is
    /// left alone [default: 3 to 5, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: Option<u32>,

    /// Only turnbench and what it is measured against; the document is left alone if another
    /// project's client was there to be measured
    #[arg(long)]
    pub(crate) no_peers: bool,

    /// Folder of built programs, instead of building them
    #[arg(long, value_name = "DIR")]
    pub(crate) programs: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Part {
    /// CPU time an event, events and requests a second
    Throughput,
    /// From the start of the process to its first request
    Startup,
    /// What clients report against what the server knows; memory
    Fidelity,
}

impl Options {
    /// How often clients run where a part usually has them run as often as `usual`.
    pub(crate) fn counts(&self, usual: Counts) -> Counts {
        let own = self.runs.unwrap_or(if self.quick { 1 } else { usual.own });
        Counts { own, peer: usual.peer.min(own), slow_peer: usual.slow_peer.min(own) }
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Why the result is not fit to be kept; `None` if it is: everything, at full size.
    pub(crate) fn why_partial(&self, peers_exist: bool) -> Option<String> {
        if self.quick {
            return Some("--quick does little work".to_owned());
        }
        if !self.only.is_empty() {
            return Some("--only leaves parts out".to_owned());
        }
        if let Some(runs) = self.runs.filter(|&runs| runs < RUNS) {
            return Some(format!("--runs is {runs}; it must be at least {RUNS}"));
        }
        (self.no_peers && peers_exist).then(|| "--no-peers leaves clients out".to_owned())
    }

    /// As typed, without where the programs are.
    pub(crate) fn shown(&self) -> String {
        let mut words = vec!["cargo xtask bench".to_owned()];
        words.extend(self.quick.then(|| "--quick".to_owned()));
        let parts = self.only.iter().filter_map(ValueEnum::to_possible_value);
        let parts: Vec<String> = parts.map(|part| part.get_name().to_owned()).collect();
        words.extend((!parts.is_empty()).then(|| format!("--only {}", parts.join(","))));
        words.extend(self.runs.map(|runs| format!("--runs {runs}")));
        words.extend(self.no_peers.then(|| "--no-peers".to_owned()));
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Options, Part};
    use crate::bench::rounds::Counts;

    fn parse(text: &str) -> Options {
        Options::parse_from(text.split(' '))
    }

    fn check(text: &str, peers_exist: bool, why: Option<&str>) {
        let partial = parse(text).why_partial(peers_exist);
        match why {
            None => assert_eq!(partial, None, "{text}"),
            Some(why) => assert!(partial.is_some_and(|partial| partial.contains(why)), "{text}"),
        }
    }

    #[test]
    fn only_a_whole_run_is_kept() {
        check("bench", true, None);
        check("bench --programs x --runs 5", true, None);
        check("bench --runs 7", true, None);
        check("bench --quick", true, Some("--quick"));
        check("bench --only throughput,startup,fidelity", true, Some("--only"));
        check("bench --runs 4", true, Some("--runs is 4"));
        check("bench --no-peers", true, Some("--no-peers"));
        check("bench --no-peers", false, None);
    }

    #[test]
    fn parts_and_runs_are_those_that_were_asked_for() {
        let some = parse("bench --only throughput,startup");
        assert!(some.has(Part::Startup) && !some.has(Part::Fidelity));
        let usual = Counts { own: 5, peer: 3, slow_peer: 1 };
        let counts = |text| parse(text).counts(usual);
        assert_eq!(counts("bench"), usual);
        assert_eq!(counts("bench --quick"), Counts { own: 1, peer: 1, slow_peer: 1 });
        assert_eq!(counts("bench --runs 2"), Counts { own: 2, peer: 2, slow_peer: 1 });
        assert_eq!(counts("bench --quick --runs 9"), Counts { own: 9, ..usual });
    }

    #[test]
    fn the_command_is_shown_without_where_the_programs_are() {
        let shown = parse("bench --quick --programs x --only startup,fidelity --runs 2").shown();
        assert_eq!(shown, "cargo xtask bench --quick --only startup,fidelity --runs 2");
    }
}
