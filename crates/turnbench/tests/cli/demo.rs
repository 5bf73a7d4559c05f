//! `turnbench demo`: no argument needed, nothing left behind.

use crate::support::bin::turnbench;
use crate::support::case::ended;

#[test]
fn the_demo_runs_by_itself_and_says_what_it_means() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = turnbench(folder.path());
    demo.args(["demo", "--run-dir", "none"]);
    // Of the environment it takes nothing either.
    let run = ended(demo.env("MULTITURN_BENCH_MAX_RETRIES", "x"));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.starts_with("simulated server on http://127.0.0.1:"), "{}", run.stderr);
    assert!(run.stdout.contains("24 finished of 24"), "{}", run.stdout);
    let mut last = run.stdout.lines().rev();
    assert!(last.next().unwrap().starts_with("later turns: after "), "{}", run.stdout);
    assert!(last.next().unwrap().starts_with("turn 1: "), "{}", run.stdout);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
