//! Without `--compat` a failed request is a record with its kind, is tried again only where that can
//! help, and ends no client.

use serde_json::json;
use turnbench_model::FailureKind;

use crate::support::case::{Case, plain};
use crate::support::stub::Behaviour;

/// Runs with `behaviour` for the first request, and tells the failures and the finished
/// conversations of two.
fn check_failure(behaviour: &Behaviour, args: &[&str], kind: FailureKind, status: Option<u16>) {
    let case = Case::new(behaviour.clone());
    let run = case.run(args);
    let name = &behaviour.script[&1];
    assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
    assert_eq!(case.failures(), [(kind, status, 1)], "{name}");
    assert_eq!(case.finished(), 1, "{name}: the other conversation");
    assert_eq!(case.message_counts(), [1, 1, 3], "{name}");
    let counts = &case.report()["counts"];
    assert_eq!(counts["conversations"]["failed"], 1, "{name}");
    assert_eq!(counts["failures"][0]["kind"], kind.name(), "{name}");
    let failed = run.stdout.lines().any(|line| line.trim_start().starts_with(kind.name()));
    assert!(failed, "{name}: {}", run.stdout);
}

#[test]
fn each_kind_of_failure_is_a_record_and_the_client_goes_on() {
    use FailureKind::{Connect, HttpStatus, Invalid, StreamError, Truncated};
    for (name, kind, status) in [
        ("http400", HttpStatus, Some(400)),
        ("http404", HttpStatus, Some(404)),
        ("http499", HttpStatus, Some(499)),
        ("http500", HttpStatus, Some(500)),
        ("error_json", StreamError, Some(200)),
        ("cut_clean", Truncated, Some(200)),
        ("cut_hard", Truncated, Some(200)),
        ("garbage", Invalid, Some(200)),
        ("html", Invalid, Some(200)),
        ("none", Invalid, Some(200)),
        ("close", Connect, None),
    ] {
        check_failure(&Behaviour::script(&[name]), &[], kind, status);
    }
}

#[test]
fn answers_that_are_not_streamed_fail_in_the_same_ways() {
    use FailureKind::{Connect, HttpStatus, Invalid};
    for (name, kind, status) in
        [("http500", HttpStatus, Some(500)), ("html", Invalid, Some(200)), ("close", Connect, None)]
    {
        check_failure(&Behaviour::script(&[name]), &["--no-stream"], kind, status);
    }
}

#[test]
fn tokens_without_a_text_that_the_server_counted_are_an_answer() {
    let case = Case::new(Behaviour::always("ns_null"));
    let run = case.run(&["--no-stream"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!((case.failures().len(), case.finished()), (0, 2));
}

#[test]
fn a_request_over_its_time_limit_is_a_timeout() {
    let status = None;
    let limit = ["--request-timeout-sec", "1"];
    check_failure(&Behaviour::script(&["hold"]), &limit, FailureKind::Timeout, status);
    let status = Some(200);
    check_failure(&Behaviour::script(&["hold_mid"]), &limit, FailureKind::Timeout, status);
}

#[test]
fn a_server_that_goes_away_fails_the_rest_and_keeps_what_was_measured() {
    let case = Case::new(Behaviour::script(&["die"]));
    let run = case.run(&[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("1 of 3 requests completed, fewer than half"), "{}", run.stderr);
    let (connect, none) = (FailureKind::Connect, None);
    assert_eq!(case.failures(), [(connect, none, 1), (connect, none, 1)]);
    assert_eq!(case.records().len(), 3);
}

#[test]
fn retries_are_records_of_their_own_and_only_where_they_can_help() {
    // A status that may pass: tried again, and the conversation goes on.
    let case = Case::new(Behaviour::script(&["http503"]));
    let run = case.run(&["--max-retries", "1"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.message_counts(), [1, 1, 3, 1, 3]);
    assert_eq!(case.failures(), [(FailureKind::HttpStatus, Some(503), 1)]);
    assert_eq!(case.finished(), 2);
    let records = case.records();
    assert_eq!((records[0].last_attempt, records[1].attempt), (false, 2));
    let requests = &case.report()["counts"]["requests"];
    assert_eq!((&requests["failed"], &requests["retries"]), (&json!(0), &json!(1)));
    assert!(run.stdout.contains("1 retry"), "{}", run.stdout);

    // Given up after the last one.
    let case = Case::new(Behaviour::script(&["cut_hard", "error_json"]));
    case.run(&["--max-retries", "1"]);
    let expect = [(FailureKind::Truncated, Some(200), 1), (FailureKind::StreamError, Some(200), 2)];
    assert_eq!(case.failures(), expect);
    assert_eq!(case.finished(), 1);
    assert!(case.records()[1].last_attempt);

    // Never.
    for name in ["http400", "http401", "http501", "html"] {
        let case = Case::new(Behaviour::script(&[name]));
        case.run(&["--max-retries", "3"]);
        assert_eq!(case.failures().len(), 1, "{name}");
        assert!(case.records()[0].last_attempt, "{name}");
    }
}

#[test]
fn retry_after_is_waited_for() {
    let headers = "Retry-After: 2\r\n".to_owned();
    let case = Case::new(Behaviour { headers, ..Behaviour::script(&["http429"]) });
    case.run(&["--max-retries", "1"]);
    let records = case.records();
    let failure = records[0].outcome.failure().unwrap();
    let asked = failure.retry_after_ns.unwrap();
    assert_eq!(asked.as_secs_f64(), 2.0);
    let end = records[0].stamps.end.unwrap().at_ns;
    assert!(records[1].stamps.sent_ns.unwrap().since(end) >= asked, "{records:?}");

    // Asking for nothing does not hurry the back-off, nor does it stop the retry.
    let headers = "Retry-After: 0\r\n".to_owned();
    let case = Case::new(Behaviour { headers, ..Behaviour::script(&["http429"]) });
    case.run(&["--max-retries", "1"]);
    assert_eq!(case.finished(), 2);
}

#[test]
fn verification_fails_answers_that_differ() {
    let exact = |answer: &str| {
        let exact = [("question 1 of a".to_owned(), answer.to_owned())].into();
        let case = Case::new(Behaviour { exact, ..Behaviour::always("exact") });
        case.conversations(&json!([plain("a", 1)]));
        (case.run(&["--verify-output"]), case)
    };
    let (run, case) = exact("recorded answer 1 of a");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.finished(), 1);
    let (run, case) = exact("recorded question");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(case.failures(), [(FailureKind::Mismatch, None, 1)]);
    let message = &case.report()["counts"]["failures"][0]["message"];
    assert!(message.as_str().unwrap().contains("from byte 9 on"), "{message}");
}

#[test]
fn the_exit_code_tells_a_run_without_any_success() {
    for (name, code) in [("http500", 1), ("close", 3), ("cut_clean", 1), ("http401", 1)] {
        let case = Case::new(Behaviour::always(name));
        let run = case.run(&[]);
        assert_eq!(run.code, Some(code), "{name}: {}", run.stderr);
        assert!(run.stdout.contains("0 completed, 2 failed"), "{name}: {}", run.stdout);
        assert_eq!(case.records().len(), 2, "{name}");
    }
}

#[test]
fn a_body_that_never_ends_is_cut_off_after_its_last_event() {
    let case = Case::new(Behaviour::always("hold_end"));
    let run = case.run(&["-n", "2"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.records().len(), 2);
    let (first, second) = (&case.records()[0], &case.records()[1]);
    // The wait is no part of the answer's time; it shows as lateness of the next request.
    let sent = second.stamps.sent_ns.unwrap();
    assert!(first.stamps.end.unwrap().at_ns.as_millis_f64() + 900.0 < sent.as_millis_f64());
    assert_eq!(second.stamps.intended_ns, first.stamps.end.unwrap().at_ns);
}

#[test]
fn a_key_that_the_server_repeats_is_not_recorded() {
    let case = Case::new(Behaviour::always("echo"));
    for key in
        [["--api-key", "sk-very-secret"], ["--header", "Authorization: Bearer sk-very-secret"]]
    {
        let _ = std::fs::remove_dir_all(case.path("run"));
        let run = case.run(&[&key[..], &["-n", "1", "-v"]].concat());
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        for file in ["records.jsonl", "report.json", "plan.json"] {
            let text = std::fs::read_to_string(case.path("run").join(file)).unwrap();
            assert!(!text.contains("very-secret"), "{file}");
        }
        assert!(!(run.stdout + &run.stderr).contains("very-secret"));
    }
}

#[test]
fn a_warm_up_that_succeeds_does_not_make_a_run_that_fails_a_success() {
    let mut behaviour = Behaviour::always("http500");
    behaviour.script = [(1, "normal"), (2, "normal")].map(|(k, name)| (k, name.to_owned())).into();
    let case = Case::new(behaviour);
    let run = case.run(&["--warmup-step"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stdout.contains("0 completed, 2 failed"), "{}", run.stdout);
}

#[test]
fn a_run_of_which_no_conversation_finishes_misses_its_goal() {
    let case = Case::new(Behaviour::script(&["normal", "http500"]));
    case.conversations(&json!([plain("a", 2)]));
    let run = case.run(&[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("no conversation finished, 1 failed"), "{}", run.stderr);
}
