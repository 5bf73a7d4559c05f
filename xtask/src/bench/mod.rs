//! `cargo xtask bench`: turnbench beside clients that do less, and beside other projects' clients, on
//! this machine, all against the same source. benches/README.md says what is measured and how.

mod client;
mod error;
mod fidelity;
mod harness;
pub(crate) mod launch;
mod machine;
mod options;
mod per_event;
mod processes;
mod programs;
mod rounds;
mod section;
mod source;
mod startup;
mod statistics;
mod table;
mod target;
mod throughput;
mod truth;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use client::{Bare, Client, Peers, Turnbench};
use fidelity::Fidelity;
use harness::Harness;
use options::{Options, Part};
use per_event::PerEvent;
use programs::Programs;
use startup::Startup;
use throughput::Throughput;

/// The document with the section that is written.
const DOCUMENT: &str = "docs/benchmarks.md";
/// The client to which others are compared.
const NULL: &str = "nullclient";
/// The same without sleep, to which throughput is compared too.
const SPINNING: &str = "nullclient --spin";
/// The client that has targets.
const OWN: &str = "turnbench";

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

    /// Those that a user would start.
    fn whole_programs(&self) -> Vec<&dyn Client> {
        [&self.turnbench as &dyn Client].into_iter().chain(self.peers()).collect()
    }
}

/// Runs the benchmark: prints tables, and writes them into the document if all of it ran.
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
    let setup = Setup {
        bare: Bare::all(&programs.folder),
        spinning: Bare::spinning(&programs.folder),
        turnbench: Turnbench::new(&programs.turnbench),
        without_records: Turnbench::without_records(&programs.turnbench),
        warm: Turnbench::warm(&programs.turnbench),
        peers: if options.no_peers { Peers::default() } else { client::found() },
        harness: Harness::new(root, programs)?,
        options,
    };
    let section = measure(&setup)?;
    write!(std::io::stdout(), "{section}")?;
    if setup.options.is_whole() {
        let path = root.join(DOCUMENT);
        let document = fs::read_to_string(&path).context(DOCUMENT)?;
        fs::write(&path, section::replace(&document, &section).context(DOCUMENT)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures all parts and says what came of it, as Markdown.
fn measure(setup: &Setup) -> anyhow::Result<String> {
    let mut parts = vec![conditions(setup)];
    let mut targets = Vec::new();
    let options = &setup.options;
    if options.has(Part::Throughput) {
        let per_event = PerEvent::measure(setup)?;
        let throughput = Throughput::measure(setup)?;
        targets.push(per_event.target());
        targets.extend(throughput.targets());
        parts.push(format!("### Speed\n\n{}{}", per_event.text(), throughput.text()));
    }
    if options.has(Part::Startup) {
        let startup = Startup::measure(setup)?;
        targets.push(startup.target());
        parts.push(format!("### Start\n\n{}", startup.table().text()));
    }
    if options.has(Part::Fidelity) {
        let fidelity = Fidelity::measure(setup)?;
        targets.extend(fidelity.targets());
        parts.push(format!("### Fidelity\n\n{}", fidelity.text()));
    }
    parts.push(format!("### Targets\n\n{}", target::table(&targets).text()));
    Ok(parts.join("\n"))
}

/// Where and with what it was measured.
fn conditions(setup: &Setup) -> String {
    let command =
        if setup.options.quick { "cargo xtask bench --quick" } else { "cargo xtask bench" };
    let runs = match setup.options.runs() {
        1 => "One run of each client".to_owned(),
        runs => format!("Medians of {runs} runs in turns, in brackets the least and the most"),
    };
    let text = format!(
        "`{command}`, {}. {}; load average at the start {}. {}. {runs}.\n",
        machine::today(),
        machine::description(),
        machine::load_average(),
        setup.harness.cores.shown(),
    );
    let absent = setup.peers.absent.join(", ");
    let absent =
        if absent.is_empty() { absent } else { format!("Not found, so not measured: {absent}.\n") };
    text + &absent
}
