//! Chores of this repository: `cargo xtask tidy` holds the house rules against the tree,
//! `cargo xtask docs [--check]` writes the generated documents (or says which are stale),
//! `cargo xtask bench` measures turnbench beside other clients (Linux only).
//!
//! It is not part of the product. Exit codes: 0 clean, 1 findings, 2 wrong usage or a tool failed.

#[cfg(target_os = "linux")]
mod bench;
mod docs;
mod finding;
mod tidy;
mod tree;

use std::io::Write;
use std::process::ExitCode;

use finding::Finding;
use tree::Tree;

const USAGE: &str = "usage: cargo xtask tidy | cargo xtask docs [--check] | cargo xtask bench [-h]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["tidy"] => {
            Tree::of_repository().and_then(|tree| tidy::run(&tree)).map(|found| report(&found))
        }
        ["docs"] => Tree::of_repository().and_then(|tree| docs::write(&tree)).map(|()| report(&[])),
        ["docs", "--check"] => {
            Tree::of_repository().and_then(|tree| docs::check(&tree)).map(|found| report(&found))
        }
        #[cfg(target_os = "linux")]
        ["bench", ..] => bench::run(&args),
        #[cfg(target_os = "linux")]
        [bench::launch::COMMAND, rest @ ..] => bench::launch::run(rest),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    done.unwrap_or_else(|error| {
        // Nothing is left to do when stderr is closed.
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::from(2)
    })
}

fn report(findings: &[Finding]) -> ExitCode {
    let mut out = std::io::stderr().lock();
    for finding in findings {
        let _ = writeln!(out, "{finding}");
    }
    let errors = findings.iter().filter(|finding| !finding.warning).count();
    if errors == 0 {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(out, "{errors} findings");
    ExitCode::FAILURE
}
