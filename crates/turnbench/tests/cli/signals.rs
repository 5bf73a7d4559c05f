//! Ctrl-C, and worse: what was measured is kept.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::support::bin::turnbench;
use crate::support::case::{Case, Ended, ended};
use crate::support::stub::Behaviour;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use turnbench_model::FailureKind;

/// The run's first request is answered, its second one hangs.
fn hanging() -> (Case, Child) {
    let case = Case::new(Behaviour::script(&["normal", "hold_mid"]));
    let child = case.start(&["-o", "out.json", "--stats-json-output", "stats.json"]);
    case.stub.wait_for_posts(2);
    (case, child)
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).expect("the process is there");
}

/// Waits for the end.
fn end(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Waits until the first record is on the disk.
fn wait_for_a_record(case: &Case) {
    #[allow(clippy::disallowed_methods, reason = "the test gives up at some time")]
    let start = Instant::now();
    let written =
        || std::fs::read(case.path("run/records.jsonl")).is_ok_and(|text| text.contains(&b'\n'));
    while !written() {
        assert!(start.elapsed() < Duration::from_mins(1), "no record was written");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn report(case: &Case) -> Ended {
    ended(turnbench(case.folder.path()).args(["report", "run"]))
}

#[test]
fn one_interrupt_ends_the_run_and_everything_is_written() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (case, child) = hanging();
        send(&child, signal);
        let run = end(child);
        assert_eq!(run.code, Some(130), "{}", run.stderr);
        assert!(run.stderr.contains("interrupted: waiting up to 2 s"), "{}", run.stderr);
        assert!(run.stdout.contains("1 completed, 0 failed, 1 cancelled"), "{}", run.stdout);
        assert_eq!(case.failures(), [(FailureKind::Cancelled, Some(200), 1)]);
        let report_json = case.report();
        assert_eq!(report_json["counts"]["interrupted"], true);
        assert_eq!(report_json["counts"]["conversations"]["not_started"], 1);
        assert_eq!(case.json("stats.json").as_array().unwrap().len(), 1);
        let out = case.json("out.json");
        assert_eq!((out[0]["id"].as_str(), out[0]["finished"].as_bool()), (Some("a"), Some(false)));
        assert!(run.stdout.ends_with(&report(&case).stdout), "{}", run.stdout);
    }
}

#[test]
fn an_interrupt_ends_a_pause() {
    let case = Case::new(Behaviour::default());
    let child = case.start(&["--request-rate", "0.0001"]);
    wait_for_a_record(&case);
    send(&child, Signal::SIGINT);
    let run = end(child);
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert_eq!(case.stub.posts().len(), 1);
    assert!(run.stdout.contains("1 completed, 0 failed"), "{}", run.stdout);
}

#[test]
fn nothing_is_sent_after_an_interrupt() {
    let (case, child) = hanging();
    send(&child, Signal::SIGINT);
    end(child);
    assert_eq!(case.stub.posts().len(), 2);
}

#[test]
fn a_second_interrupt_ends_it_at_once_and_the_records_are_readable() {
    let (case, mut child) = hanging();
    wait_for_a_record(&case);
    send(&child, Signal::SIGINT);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("interrupted: ") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the end came without a word");
    }
    send(&child, Signal::SIGINT);
    let run = end(child);
    assert_eq!((run.code, run.stdout.contains("Statistics summary")), (Some(130), false));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert!(!case.path("run/report.json").exists());
    assert_eq!(case.records().len(), 1);
    let report = report(&case);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    assert!(report.stdout.contains("1 completed, 0 failed"), "{}", report.stdout);
}

#[test]
fn a_killed_run_can_be_reported() {
    let (case, child) = hanging();
    wait_for_a_record(&case);
    send(&child, Signal::SIGKILL);
    assert_eq!(end(child).code, None);
    let report = report(&case);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    assert!(report.stdout.contains("1 completed, 0 failed"), "{}", report.stdout);
    assert!(report.stdout.contains("1 unfinished, 1 not started of 2"), "{}", report.stdout);
    assert!(report.stderr.contains("warning: the run was cut short"), "{}", report.stderr);
}
