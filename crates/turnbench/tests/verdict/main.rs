//! The verdict of real runs that something real went wrong with: a core without time for the
//! client, a client or a thread of it that is stopped, a flood, a slow way to the server, a kernel that
//! does not stamp. Every reason is provoked here:
//!
//! | reason | by |
//! | --- | --- |
//! | `concurrency`, `send_lateness`, `loop_lag`, `first_token_delay` | a starved core |
//! | `stall` | a client that stands still, a thread of it that does |
//! | `event_delay` | a client that stands still |
//! | `shared_stamps` | the same, held against the server's truth |
//! | `cpu_busy` | eight threads on one core |
//! | `capacity` | a source faster than the client, after a selfcheck |
//! | `record_waits` | a recorder that stands still, as on a disk that does |
//! | `user_stamps` | a sandbox that refuses the kernel's stamps |
//! | `server_gap` | a slow proxy |
//! | `failed_requests`, `few_requests`, `unfinished_conversations` | a server that fails |
//! | `interrupted`, `cut_requests` | Ctrl-C |
//!
//! The tests take the machine's cores away from one another, so that one runs at a time.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod burner;
mod held;
mod proxy;
mod replay;
mod sandbox;
mod selfcheck;

use std::time::Duration;

use nix::sys::signal::Signal;
use support::case::Case;
use support::stub::Behaviour;

use burner::Burner;
use held::{HeldThread, wait_until_blocked};
use proxy::SlowProxy;
use replay::{Core, Judged, Replay, alone, on_core, pause};
use sandbox::without_kernel_stamps;

/// Enough for a p99.
const REQUESTS: u32 = 120;

#[test]
fn a_quiet_run_is_not_the_clients() {
    let _alone = alone();
    let run = || {
        let paced = ["--raw-speed", "--ttft-ms", "120", "--itl-ms", "30"];
        Replay::new(&paced, REQUESTS).run(&["-p", "8"], 5)
    };
    // Others on the machine may make a run anything but quiet, though hardly three.
    let mut judged = run();
    for _ in 0..2 {
        if judged.level() == "client-limited" {
            judged = run();
        }
    }
    // A shared machine may come late to anything, and says so; more than a word it is not.
    for reason in judged.reasons() {
        assert_ne!(reason["level"], "client-limited", "{judged:?}");
        let id = reason["id"].as_str().expect("a name");
        let of_the_machine = [
            "send_lateness",
            "loop_lag",
            "stall",
            "shared_stamps",
            "first_token_delay",
            "event_delay",
        ];
        assert!(of_the_machine.contains(&id), "{judged:?}");
    }
    assert_eq!(judged.level() == "trustworthy", judged.reasons().is_empty(), "{judged:?}");
    assert_eq!(judged.claims_exact_ttfts(), judged.has_exact_ttfts(), "{}", judged.stdout);
    assert!(judged.stdout.contains("\nverdict        "), "{}", judged.stdout);
}

#[test]
fn a_starved_core_makes_the_client_the_limit() {
    let _alone = alone();
    let replay = Replay::new(&["--raw-speed", "--ttft-ms", "5", "--itl-ms", "2"], REQUESTS * 2);
    let mut running = replay.start_nice(&["-p", "8"], 10);
    running.pin_to_one_core();
    running.wait_for_a_record();
    let burner = Burner::start(Duration::from_secs(4));
    let judged = running.end();
    drop(burner);
    assert_eq!(judged.level(), "client-limited", "{judged:?}");
    for id in ["concurrency", "send_lateness", "loop_lag", "first_token_delay"] {
        assert!(judged.has(id), "{id}: {judged:?}");
    }
    // The server runs beside it.
    assert_eq!(judged.report["verdict"]["notes"][0]["id"], "server_on_this_host", "{judged:?}");
    assert!(
        judged.stdout.contains("note: the server answers at an address of this"),
        "{}",
        judged.stdout
    );
}

#[test]
fn a_client_that_stands_still_says_so() {
    let _alone = alone();
    let replay = Replay::new(&["--raw-speed", "--ttft-ms", "10", "--itl-ms", "5"], REQUESTS);
    let mut running = replay.start(&["-p", "8"], 10);
    running.wait_for_a_record();
    running.stand_still(Duration::from_millis(600));
    let judged = running.end();
    assert_ne!(judged.level(), "trustworthy", "{judged:?}");
    let stall = judged.reason("stall");
    assert!(stall["value"].as_f64() > stall["threshold"].as_f64(), "{stall}");
    assert!(judged.has("event_delay"), "{judged:?}");
}

#[test]
fn a_ttft_that_a_stopped_client_made_is_named() {
    let _alone = alone();
    let paced = ["--raw-speed", "--ttft-ms", "200", "--itl-ms", "10", "--truth", "truth.jsonl"];
    let replay = Replay::new(&paced, REQUESTS);
    let mut running = replay.start(&["-p", "8", "--send-conversation-id"], 10);
    running.wait_for_a_record();
    // The first clients have just sent their second request.
    running.stand_still(Duration::from_millis(600));
    let judged = running.end();
    let true_ttfts = replay.end_with_truth();
    let wrong_ms = judged.ttfts_ms().map(|(id, ttft_ms)| ttft_ms - true_ttfts[&id]);
    // A busy machine is some ms off by itself; those that waited are off by up to 400.
    let wrong = wrong_ms.filter(|&wrong_ms| wrong_ms > 50.0).count() as u64;
    let shared = judged.report["client"]["shared_first_tokens"].as_u64().expect("a count");
    assert!(wrong <= shared, "{wrong} of {shared}: {judged:?}");
    assert_eq!(judged.claims_exact_ttfts(), judged.has_exact_ttfts(), "{}", judged.stdout);
    if wrong > 0 {
        let reason = judged.reason("shared_stamps");
        for reason in [reason, judged.reason("stall")] {
            let touches = reason["touches"].as_array().expect("a list");
            assert!(touches.contains(&"ttft_ms".into()), "{reason}");
        }
        assert!(reason["value"].as_f64() > Some(400.0), "{reason}");
    }
    // More than one in a hundred is in the p99.
    assert!(wrong <= 1 || judged.level() == "client-limited", "{wrong}: {judged:?}");
}

#[test]
fn a_stop_too_short_for_any_timer_is_told_by_the_pace_of_the_answers() {
    let _alone = alone();
    let stopped = || {
        let paced = ["--raw-speed", "--ttft-ms", "20", "--itl-ms", "5", "--truth", "truth.jsonl"];
        let replay = Replay::new(&paced, REQUESTS);
        let mut running = replay.start(&["-p", "30", "--send-conversation-id"], 60);
        running.wait_for_a_record();
        // The clients have just sent their second requests.
        running.stand_still(Duration::from_millis(70));
        let judged = running.end();
        let true_ttfts = replay.end_with_truth();
        let wrong_ms = judged.ttfts_ms().map(|(id, ttft_ms)| ttft_ms - true_ttfts[&id]);
        let wrong_ms: Vec<f64> = wrong_ms.collect();
        (judged, wrong_ms)
    };
    let worst = |wrong_ms: &[f64]| wrong_ms.iter().copied().fold(0.0, f64::max);
    // The stop hits the first tokens if it comes within 20 ms of the sends.
    let hit = (0..4).map(|_| stopped()).find(|(_, wrong_ms)| worst(wrong_ms) > 30.0);
    let (judged, wrong_ms) = hit.expect("no stop hit the first tokens");
    let (worst_ms, many) = (worst(&wrong_ms), wrong_ms.iter().filter(|&&ms| ms > 30.0).count());
    let excess = &judged.report["client"]["shared_stamp_excess_ms"];
    let told_ms = excess["max"].as_f64().expect("a worst one");
    // A token more or less, and what a busy machine does to the pace.
    assert!((told_ms - worst_ms).abs() < 15.0, "{told_ms} told, {worst_ms} true: {judged:?}");
    let shared = judged.reason("shared_stamps");
    assert!(shared["touches"].as_array().unwrap().contains(&"ttft_ms".into()), "{shared}");
    assert!(many * 50 < wrong_ms.len() || judged.level() == "client-limited", "{judged:?}");
}

#[test]
fn a_reader_slower_than_the_source_says_so() {
    let _alone = alone();
    let replay = Replay::new(&["--raw-speed", "--events-per-write", "64"], REQUESTS);
    let judged = replay.run(&["-p", "16", "--threads", "1"], 4000);
    assert_ne!(judged.level(), "trustworthy", "{judged:?}");
    assert!(judged.has("cpu_busy") || judged.has("event_delay"), "{judged:?}");
}

#[test]
fn threads_that_share_a_core_do_not_look_idle() {
    let _alone = alone();
    let flood = ["--raw-speed", "--events-per-write", "64"];
    let replay = on_core(Core::Last, || Replay::new(&flood, 3_000));
    // Which decodes every event in full, so that the client and not the source is what is busy.
    let flags = ["-p", "64", "--threads", "8", "--compat", "vllm"];
    let run = || {
        let mut running = on_core(Core::First, || replay.start(&flags, 400));
        running.wait_for_a_record();
        // It would take its share of the core.
        held::be_nice(running.process(), "recorder");
        running.end()
    };
    // Where others want the core, too, a client has not all of it.
    let busy = (0..4).map(|_| run()).find(|judged| judged.has("cpu_busy"));
    let judged = busy.expect("no run had its core for itself");
    let busy = judged.reason("cpu_busy");
    assert!(busy["text"].as_str().unwrap().contains("of the 1 core that"), "{busy}");
    let client = &judged.report["client"];
    assert!(client["thread_busy_ratio"].as_f64() < Some(0.5), "{judged:?}");
    let words: Vec<&str> = judged.stdout.split_whitespace().collect();
    assert!(words.join(" ").contains("% of the client's cores"), "{}", judged.stdout);
}

#[test]
fn a_thread_that_is_blocked_says_so_while_the_other_goes_on() {
    let _alone = alone();
    let replay = Replay::new(&["--raw-speed", "--ttft-ms", "10", "--itl-ms", "5"], REQUESTS);
    let mut running = replay.start(&["-p", "8", "--threads", "2"], 10);
    running.wait_for_a_record();
    let Some(shard) = HeldThread::of(running.process(), "shard-0") else { return };
    pause(Duration::from_millis(600));
    shard.let_go();
    let judged = running.end();
    assert!(judged.reason("stall")["value"].as_f64() > Some(300.0), "{judged:?}");
}

#[test]
fn a_recorder_that_is_blocked_holds_the_client_up() {
    let _alone = alone();
    // More than the recorder's queue holds.
    let replay = Replay::new(&["--raw-speed", "--ttft-ms", "1"], 10_000);
    let mut running = replay.start(&["-p", "8", "--threads", "1"], 1);
    running.wait_for_a_record();
    let Some(recorder) = HeldThread::of(running.process(), "recorder") else { return };
    wait_until_blocked(running.process(), "shard-0");
    recorder.let_go();
    let judged = running.end();
    assert!(judged.reason("record_waits")["value"].as_f64() > Some(0.0), "{judged:?}");
    assert_eq!(judged.report["counts"]["requests"]["completed"], 10_000);
    assert!(judged.stdout.contains("had to wait for the recorder"), "{}", judged.stdout);
}

#[test]
fn a_kernel_that_does_not_stamp_is_told_of() {
    let _alone = alone();
    let replay = Replay::new(&["--raw-speed", "--ttft-ms", "20", "--itl-ms", "5"], REQUESTS);
    let judged = without_kernel_stamps(|| replay.run(&["-p", "8"], 5));
    let reason = judged.reason("user_stamps");
    assert_eq!((&reason["level"], &reason["value"]), (&"caution".into(), &0.0.into()));
    assert_eq!(judged.report["client"]["client_delay_ms"]["count"], 0, "{judged:?}");
    for record in &judged.records {
        assert_eq!(record["stamps"]["first_token"]["source"], "user", "{record}");
        assert_eq!(record["answer"]["user_stamped_chunks"], serde_json::json!([0, 1, 2, 3, 4]));
    }
    assert!(judged.stdout.contains("first tokens stamped by the client"), "{}", judged.stdout);
}

#[test]
fn what_lies_between_client_and_server_is_not_laid_to_the_client() {
    let _alone = alone();
    let replay = Replay::new(
        &["--enable-per-request-metrics", "--decode-ms", "1", "--model", "builtin:o200k_base"],
        20,
    );
    let proxy = SlowProxy::start(&replay.server_address(), Duration::from_millis(40));
    let judged = replay.run(&["-p", "2", "--url", &proxy.url()], 3);
    let gap = judged.reason("server_gap");
    assert!(gap["value"].as_f64() >= Some(40.0), "{gap}");
    assert!(gap["text"].as_str().unwrap().contains("not the client"), "{gap}");
    assert_ne!(judged.level(), "client-limited", "{judged:?}");
    assert_eq!(judged.report["client"]["server_gap_ms"]["count"], 20);
    assert!(
        judged.stdout.contains("beyond the server's own (server_gap_ms: median"),
        "{}",
        judged.stdout
    );
}

#[test]
fn what_is_missing_is_named() {
    let _alone = alone();
    let case = Case::new(Behaviour::script(&["http500"]));
    case.run(&[]);
    let judged = Judged::of(case.report(), String::new());
    assert!(judged.has("failed_requests") && judged.has("few_requests"), "{judged:?}");
    assert!(judged.has("unfinished_conversations"), "{judged:?}");

    let case = Case::new(Behaviour::script(&["normal", "hold_mid"]));
    let child = case.start(&[]);
    case.stub.wait_for_posts(2);
    replay::send(&child, Signal::SIGINT);
    child.wait_with_output().unwrap();
    let judged = Judged::of(case.report(), String::new());
    assert!(judged.has("interrupted") && judged.has("cut_requests"), "{judged:?}");
}
