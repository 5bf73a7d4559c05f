//! Every complaint of the binary, provoked once: the exit code, one clear message that names the
//! flag or the file, what was seen and what is allowed, and nothing sent to the server.

mod files;
mod flags;
mod inputs;
mod server;
mod tokenizers;

use crate::support::case::{Case, Ended};

/// Runs with these arguments; expects to be refused before anything is printed or sent.
fn refused(case: &Case, args: &[&str]) -> Ended {
    let run = case.run(args);
    assert_eq!(run.stdout, "", "{args:?}");
    assert!(case.stub.posts().is_empty(), "{args:?}");
    assert!(!case.path("run").exists(), "{args:?}: a run directory was left");
    run
}

/// Expects exactly this message (the first lines of it for what clap itself refuses) and exit 2.
fn check(case: &Case, args: &[&str], expect: &str) {
    let run = refused(case, args);
    let text = run.stderr.replace(&case.stub.url(), "URL");
    let text = text.split("\n\nFor more information").next().unwrap().trim_end();
    assert_eq!(text, expect, "{args:?}");
    assert_eq!(run.code, Some(2), "{args:?}");
}
