use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Runs of every client, one after another in turns, without `--runs`.
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

    /// Runs of each client [default: 5, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: Option<u32>,

    /// Only turnbench and what it is measured against, no other project's client
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
    pub(crate) fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 1 } else { RUNS })
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Whether the result is fit to be kept: everything, at full size.
    pub(crate) fn is_whole(&self) -> bool {
        self.only.is_empty() && !self.quick
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Options, Part};

    #[test]
    fn only_a_whole_run_is_kept() {
        let parse = |text: &str| Options::parse_from(text.split(' '));
        assert!(parse("bench").is_whole());
        assert!(!parse("bench --quick").is_whole());
        let some = parse("bench --only throughput,startup");
        assert!(!some.is_whole() && some.has(Part::Startup) && !some.has(Part::Fidelity));
        assert_eq!((some.runs(), parse("bench --quick").runs()), (5, 1));
    }
}
