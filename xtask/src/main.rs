//! Chores of this repository: `cargo xtask tidy` holds the house rules against the tree,
//! `cargo xtask docs [--check]` writes the generated documents (or says which are stale).
//!
//! It is not part of the product. Exit codes: 0 clean, 1 findings, 2 wrong usage or a tool failed.

mod docs;
mod finding;
mod tidy;
mod tree;

use std::io::Write;
use std::process::ExitCode;

use finding::Finding;
use tree::Tree;

const USAGE: &str = "usage: cargo xtask tidy | cargo xtask docs [--check]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut err = std::io::stderr().lock();
    let findings = match args.as_slice() {
        ["tidy"] => Tree::of_repository().and_then(|tree| tidy::run(&tree)),
        ["docs"] => Tree::of_repository().and_then(|tree| docs::write(&tree)).map(|()| Vec::new()),
        ["docs", "--check"] => Tree::of_repository().and_then(|tree| docs::check(&tree)),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match findings {
        Ok(findings) => report(&findings, &mut err),
        Err(error) => {
            // Nothing is left to do when stderr is closed.
            let _ = writeln!(err, "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn report(findings: &[Finding], out: &mut impl Write) -> ExitCode {
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
