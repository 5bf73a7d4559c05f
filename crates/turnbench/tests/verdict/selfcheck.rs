//! `turnbench selfcheck`, and what a run makes of it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::replay::{Replay, alone};
use super::support::bin::turnbench;
use super::support::case::{Case, Ended, ended};
use super::support::stub::Behaviour;

fn selfcheck(state: &Path, args: &[&str]) -> Ended {
    ended(turnbench(state).arg("selfcheck").args(args).env("XDG_STATE_HOME", state))
}

#[test]
fn the_machine_is_measured_and_a_run_is_held_against_it() {
    let _alone = alone();
    let case = Case::new(Behaviour::default());
    let state = case.path("state");
    std::fs::create_dir(&state).unwrap();
    let checked = selfcheck(&state, &["--format", "json", "--url", &case.stub.url()]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let found: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert!(found["speed"]["requests_per_sec"].as_f64() > Some(0.0), "{found}");
    assert!(found["speed"]["capacity"]["cpu_ns_per_event"].as_f64() > Some(0.0), "{found}");
    let loads = found["loads"].as_array().unwrap();
    assert_eq!(loads[0]["streams"], 1, "{found}");
    assert_eq!(loads[1]["streams_peak"], 32, "{found}");
    assert!(loads[1]["client_delay_ms"]["count"].as_u64() > Some(1_000), "{found}");
    assert_eq!(found["network"]["health_status"], 404, "{found}");
    assert_eq!(found["network"]["connect_ms"]["count"], 10, "{found}");

    // The stub is asked for a few requests only, which is next to nothing of what was measured.
    let run = ended(case.command(&[]).env("XDG_STATE_HOME", &state));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report = case.report();
    assert!(report["client"]["capacity_ratio"].as_f64() > Some(0.0), "{}", report["client"]);
    assert!(report["environment"]["capacity"].is_object(), "{}", report["environment"]);

    // Requests as fast as one thread can send them are all that it carries.
    let run = || {
        let replay = Replay::new(&["--raw-speed"], 6_000);
        std::fs::create_dir(replay.folder().join("turnbench")).unwrap();
        let kept = replay.folder().join("turnbench/selfcheck.json");
        std::fs::copy(state.join("turnbench/selfcheck.json"), kept).unwrap();
        replay.run(&["-p", "32", "--threads", "1"], 1)
    };
    // Others on the machine may leave the client less than half a core.
    let mut judged = run();
    for _ in 0..3 {
        if !judged.has("capacity") {
            judged = run();
        }
    }
    assert!(judged.reason("capacity")["value"].as_f64() > Some(0.5), "{judged:?}");
    let notes = judged.report["verdict"]["notes"].as_array().unwrap();
    assert!(notes.iter().all(|note| note["id"] != "no_selfcheck"), "{notes:?}");
}

#[test]
fn the_table_fits_a_terminal_and_says_what_to_change() {
    let _alone = alone();
    let state = tempfile::tempdir().unwrap();
    let kept = state.path().join("turnbench/selfcheck.json");
    std::fs::create_dir(kept.parent().unwrap()).unwrap();
    std::fs::write(&kept, "{\"another machine\": {").unwrap();
    // What the environment says of runs has nothing to say here.
    let mut command = turnbench(state.path());
    command.arg("selfcheck").env("XDG_STATE_HOME", state.path());
    let checked = ended(command.env("MULTITURN_BENCH_MAX_RETRIES", "x"));
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let text = &checked.stdout;
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for part in ["machine ", "clock ", "kernel stamps", "one thread", "\n1,024 ", "\nto change"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        checked.stderr.contains("selfcheck.json for later runs' verdicts"),
        "{}",
        checked.stderr
    );
    assert!(checked.stderr.contains("selfcheck.json.damaged, with what"), "{}", checked.stderr);
    let damaged = std::fs::read_to_string(kept.with_extension("json.damaged")).unwrap();
    assert_eq!(damaged, "{\"another machine\": {");
    let kept: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    assert_eq!(kept.as_object().unwrap().len(), 1, "{kept}");
}

/// Answers one request, and then no other.
fn server_of_one_answer() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answered = Arc::new(AtomicBool::new(false));
    let serve = move |mut stream: TcpStream| {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
            if !answered.swap(true, Ordering::Relaxed) {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            }
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    url
}

#[test]
fn a_failed_selfcheck_says_so_and_leaves_what_was_kept() {
    let state = tempfile::tempdir().unwrap();
    let kept = state.path().join("turnbench/selfcheck.json");
    std::fs::create_dir(kept.parent().unwrap()).unwrap();
    std::fs::write(&kept, "{}").unwrap();
    let mut command = turnbench(state.path());
    command.args(["selfcheck", "--format", "json", "--url", &server_of_one_answer()]);
    // There is nowhere to put the load's input.
    command.env("XDG_STATE_HOME", state.path()).env("TMPDIR", state.path().join("none"));
    let checked = ended(&mut command);
    assert_eq!(checked.code, Some(4), "{}", checked.stderr);
    assert!(
        checked.stderr.contains("error: the client's speed could not be measured, and nothing is"),
        "{}",
        checked.stderr
    );
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "{}");
    // A server that stops answering costs a few seconds, and what was measured is told.
    let found: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(found["network"]["connect_ms"]["count"], 10, "{found}");
    assert_eq!(found["network"]["health_ms"]["count"], 1, "{found}");
    assert_eq!(found["network"]["health_status"], 200, "{found}");
    assert!(found["speed"].is_null(), "{found}");
    assert!(found["missing"][0].as_str().unwrap().starts_with("speed and delays: "), "{found}");
}

#[test]
fn a_server_that_is_not_there_is_told_before_anything_is_measured() {
    let state = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let checked = selfcheck(state.path(), &["--url", &url]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(3), ""), "{}", checked.stderr);
    assert!(
        checked.stderr.starts_with("error: no answer from http://127.0.0.1:"),
        "{}",
        checked.stderr
    );
    assert!(!state.path().join("turnbench").exists());
    for (url, expect) in [("ftp://x", "--url"), ("", "--url")] {
        let checked = selfcheck(state.path(), &["--url", url]);
        assert_eq!(checked.code, Some(2), "{}", checked.stderr);
        assert!(checked.stderr.contains(expect), "{}", checked.stderr);
    }
}
