//! `cargo xtask bench`: turnbench beside clients that do less, and beside other projects' clients, on
//! this machine, all against the same source. benches/README.md says what is measured and how.

mod client;
mod command_line;
mod error;
mod fidelity;
mod harness;
mod interrupt;
pub(crate) mod launch;
mod machine;
mod options;
mod paper;
mod per_event;
mod processes;
mod programs;
mod results;
mod rounds;
mod section;
mod source;
mod start_cost;
mod startup;
mod statistics;
mod table;
mod target;
mod throughput;
mod truth;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use client::{Bare, Client, Peers, Turnbench};
use harness::Harness;
use interrupt::Interrupt;
use options::{Options, Part};
use paper::Paper;
use programs::Programs;
use rounds::say;
use start_cost::StartCost;
use target::Target;

/// The document with the section that is written.
const DOCUMENT: &str = "docs/benchmarks.md";
/// The client to which others are compared.
const NULL: &str = "nullclient";
/// The same without sleep, to which throughput is compared too.
const SPINNING: &str = "nullclient --spin";
/// The client that has targets.
const OWN: &str = "turnbench";
/// Connections where their number is not what matters.
const STREAMS: u32 = 32;
/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// All that takes part.
struct Setup {
    options: Options,
    harness: Harness,
    bare: [Bare; 3],
    spinning: Bare,
    turnbench: Turnbench,
    without_records: Turnbench,
    warm: Turnbench,
    peers: Peers,
    /// Whether there are peers, measured or not.
    peers_exist: bool,
}

impl Setup {
    /// Clients of this repository, the null client first.
    fn own(&self) -> Vec<&dyn Client> {
        let bare = self.bare.iter().map(|client| client as &dyn Client);
        bare.chain([&self.without_records as &dyn Client, &self.turnbench]).collect()
    }

    fn peers(&self) -> impl Iterator<Item = &dyn Client> {
        self.peers.found.iter().map(AsRef::as_ref)
    }

    fn is_stopped(&self) -> bool {
        self.harness.interrupt.is_set()
    }

    /// Those that a user would start.
    fn whole_programs(&self) -> Vec<&dyn Client> {
        [&self.turnbench as &dyn Client].into_iter().chain(self.peers()).collect()
    }
}

/// Runs the benchmark: prints each table as soon as it is there, and writes them into the document if
/// all of it ran.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<ExitCode> {
    let options = match Options::try_parse_from(args) {
        Ok(options) => options,
        // The text of --help, or what is wrong.
        Err(error) => {
            error.print()?;
            return Ok(ExitCode::from(if error.use_stderr() { 2 } else { 0 }));
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent")?;
    let programs = match &options.programs {
        Some(folder) => Programs::of(folder)?,
        None => Programs::build(root)?,
    };
    let peers = client::found();
    let setup = Setup {
        bare: Bare::all(&programs.folder),
        spinning: Bare::spinning(&programs.folder),
        turnbench: Turnbench::new(&programs.turnbench),
        without_records: Turnbench::without_records(&programs.turnbench),
        warm: Turnbench::warm(&programs.turnbench),
        peers_exist: !peers.found.is_empty(),
        peers: if options.no_peers { Peers::default() } else { peers },
        harness: Harness::new(root, programs, Interrupt::listen()?)?,
        options,
    };
    let mut paper = Paper::default();
    paper.put(&conditions(&setup))?;
    let targets = measure(&setup, &mut paper)?;
    paper.put(&format!("### Targets\n\n{}", target::table(&targets).text()))?;
    say(&format!("[{}] done", setup.harness.elapsed()));
    if let Some(why) = why_not_kept(&setup.options, setup.peers_exist, setup.is_stopped(), &targets)
    {
        say(&format!("{DOCUMENT} was not written: {why}"));
    } else {
        let path = root.join(DOCUMENT);
        let document = fs::read_to_string(&path).context(DOCUMENT)?;
        fs::write(&path, section::replace(&document, paper.text()).context(DOCUMENT)?)?;
        say(&format!("{DOCUMENT} was written"));
    }
    Ok(if setup.is_stopped() { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// Measures all parts, until someone wants an end.
fn measure(setup: &Setup, paper: &mut Paper) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::new();
    let wanted = |part| setup.options.has(part) && !setup.is_stopped();
    if wanted(Part::Throughput) {
        let start_cost = StartCost::measure(setup, STREAMS);
        targets.extend(per_event::measure(setup, &start_cost, paper)?);
        if !setup.is_stopped() {
            targets.extend(throughput::measure(setup, &start_cost, paper)?);
        }
    }
    if wanted(Part::Startup) {
        targets.extend(startup::measure(setup, paper)?);
    }
    if wanted(Part::Fidelity) {
        targets.extend(fidelity::measure(setup, paper)?);
    }
    Ok(targets)
}

/// Why the document is left as it is; `None` if this run is to be kept.
fn why_not_kept(
    options: &Options,
    peers_exist: bool,
    stopped: bool,
    targets: &[Target],
) -> Option<String> {
    if stopped {
        return Some("the run was stopped".to_owned());
    }
    let unmeasured = || {
        let target = targets.iter().find(|target| target.measured.is_none())?;
        Some(format!("no figure for the target '{}'", target.figure))
    };
    options.why_partial(peers_exist).or_else(unmeasured)
}

/// Where and with what it was measured.
fn conditions(setup: &Setup) -> String {
    let text = format!(
        "`{}`, {}. {}; load average at the start {}. {}. Medians of the runs in turns, in brackets the \
         least and the most. Below each table the command lines, without this machine's folders; PORT is \
         the one that the source took, `conversations.json` as in benches/README.md.\n",
        setup.options.shown(),
        machine::today(),
        machine::description(),
        machine::load_average(),
        setup.harness.cores.shown(),
    );
    let built_before = if setup.options.programs.is_some() {
        "\nThe programs had been built before (`--programs`).\n"
    } else {
        ""
    };
    let absent = setup.peers.absent.join(", ");
    let absent = if absent.is_empty() {
        absent
    } else {
        format!("\nNot found, so not measured: {absent}.\n")
    };
    text + built_before + &absent
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::options::Options;
    use super::target::{Side, Target};
    use super::why_not_kept;

    fn target(measured: Option<f64>) -> Target {
        Target { figure: "CPU".into(), side: Side::AtMost, bound: 1.0, unit: " ms", measured }
    }

    #[test]
    fn the_document_gets_whole_runs_alone() {
        let (whole, quick) =
            (Options::parse_from(["bench"]), Options::parse_from(["bench", "--quick"]));
        let all = [target(Some(2.0))];
        let why = |options, stopped, targets: &[Target]| {
            why_not_kept(options, true, stopped, targets).unwrap_or_default()
        };
        assert_eq!(why(&whole, false, &all), "", "a missed target is a result");
        assert_eq!(why(&whole, true, &all), "the run was stopped");
        assert_eq!(why(&whole, false, &[target(None)]), "no figure for the target 'CPU'");
        assert!(why(&quick, false, &all).contains("--quick"));
    }
}
