//! Whole reports from hand-made records.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use turnbench_metrics::{
    ConversationCounts, Environment, ReportInput, RunFacts, RunReport, definition,
};
use turnbench_model::{
    Answer, Failure, FailureKind, Nanos, Outcome, Phase, Plan, Received, RequestRecord, Stamps,
    Usage,
};

fn plan() -> Plan {
    serde_json::from_value(serde_json::json!({
        "schema_version": 1,
        "compat": "none",
        "target": {
            "url": "http://localhost:8000", "served_model_name": "m", "header_names": [],
            "api_key": false, "insecure": false, "ca_cert": null
        },
        "workload": {
            "model": "m", "input_file": "in.json", "input_sha256": "", "conversations_count": 2,
            "source": {"kind": "conversations"}, "tokenizer": {"kind": "none"}, "seed": 0
        },
        "load": {
            "num_clients": 1, "max_active_conversations": 1, "max_num_requests": null,
            "max_turns": null, "early_stop": false, "request_rate": 0.0, "max_retries": 1,
            "sampling": "round_robin", "warmup_step": false, "seed": 0, "compat": "none"
        },
        "request": {
            "stream": true, "limit_min_tokens": 0, "limit_max_tokens": 0,
            "send_min_tokens": true, "ignore_eos": false, "timeout_ns": 120_000_000_000_u64,
            "send_conversation_id": false, "verify_output": false,
            "history_reasoning": "drop", "extra_body": {}, "compat": "none"
        },
        "warmup_fractions": [0.0]
    }))
    .unwrap()
}

fn completed(
    id: &str,
    turn: u32,
    sent_ms: u64,
    ttft_ms: u64,
    cached: Option<u64>,
) -> RequestRecord {
    let at = |ms: u64| Some(Received::user(Nanos::from_millis(sent_ms + ms)));
    RequestRecord {
        conversation_id: id.into(),
        conversation: 0,
        turn,
        attempt: 1,
        last_attempt: true,
        client: 0,
        connection: Some(0),
        phase: Phase::Main,
        input_messages: turn * 2 - 1,
        request_bytes: 100,
        max_tokens: Some(10),
        outcome: Outcome::Completed,
        stamps: Stamps {
            intended_ns: Nanos::from_millis(sent_ms - 1),
            sent_ns: Some(Nanos::from_millis(sent_ms)),
            first_token: at(ttft_ms),
            last_token: at(ttft_ms + 90),
            end: at(ttft_ms + 90),
            ..Stamps::default()
        },
        answer: Answer {
            chunks_ns: (0..10).map(|index| Nanos::from_millis(ttft_ms + 10 * index)).collect(),
            ..Answer::default()
        },
        usage: Some(Usage {
            prompt_tokens: Some(100 * u64::from(turn)),
            completion_tokens: Some(10),
            cached_tokens: cached,
            reasoning_tokens: None,
        }),
        reads_count: 10,
        client_delay_max_ns: None,
    }
}

fn failed(kind: FailureKind, attempt: u32, last_attempt: bool) -> RequestRecord {
    let mut record = completed("b", 1, 500, 10, None);
    record.attempt = attempt;
    record.last_attempt = last_attempt;
    record.outcome = Outcome::Failed(Failure {
        kind,
        status: (kind == FailureKind::HttpStatus).then_some(503),
        message: format!("attempt {attempt}"),
        retry_after_ns: None,
    });
    record
}

fn build(records: &[RequestRecord]) -> RunReport {
    let facts = RunFacts {
        conversations: ConversationCounts {
            total: 2,
            finished: 1,
            failed: 1,
            ..Default::default()
        },
        ..RunFacts::default()
    };
    RunReport::build(&ReportInput {
        plan: &plan(),
        environment: &Environment::default(),
        records,
        counts: &[],
        facts: &facts,
    })
}

#[test]
fn attempts_requests_and_failures_are_told_apart() {
    let mut warmup = completed("a", 1, 1, 10, None);
    warmup.phase = Phase::Warmup;
    let report = build(&[
        warmup,
        completed("a", 1, 100, 50, None),
        failed(FailureKind::HttpStatus, 1, false),
        failed(FailureKind::HttpStatus, 2, true),
        failed(FailureKind::Cancelled, 1, true),
    ]);
    let requests = report.counts.requests;
    assert_eq!((requests.completed, requests.failed, requests.cancelled), (1, 1, 1));
    assert_eq!((requests.attempts, requests.retries, requests.warmup_attempts), (4, 1, 1));
    let failure = &report.counts.failures[0];
    assert_eq!((failure.kind, failure.status), (FailureKind::HttpStatus, Some(503)));
    assert_eq!((failure.attempts, failure.requests), (2, 1));
    assert_eq!(failure.message, "attempt 1");
    assert_eq!(report.counts.failed_requests.len(), 3);
    assert_eq!(report.summaries[0].requests, 1);
}

#[test]
fn cached_ratio_is_over_the_requests_that_report_both() {
    let report = build(&[
        completed("a", 1, 100, 50, Some(0)),
        completed("a", 2, 300, 20, Some(150)),
        completed("b", 2, 600, 30, None),
    ]);
    assert_eq!(report.cache.prompt_tokens, Some(500));
    assert_eq!(report.cache.cached_tokens, Some(150));
    assert_eq!(report.cache.cached_ratio, Some(0.5));
    assert_eq!((report.cache.requests, report.cache.reporting_requests), (3, 2));
    assert_eq!(report.turns[1].cache.cached_ratio, Some(0.75));
    assert_eq!(report.turns[1].ttft_raw_ms.percentile(50.0), Some(25.0));
}

#[test]
fn nothing_reported_is_absent_and_not_zero() {
    let report = build(&[completed("a", 1, 100, 50, None)]);
    assert_eq!(report.cache.cached_tokens, None);
    assert_eq!(report.cache.cached_ratio, None);
    assert!(report.metric("cached_tokens").is_none());
    assert!(report.metric("client_delay_ms").is_none());
    assert_eq!(report.client.client_delay_ms.percentile(99.0), None);
}

#[test]
fn the_true_span_ends_with_the_latest_end() {
    // The first request ends last: the reference's runtime stops at the end of the second.
    let report = build(&[completed("a", 1, 100, 900, None), completed("b", 1, 200, 10, None)]);
    assert_eq!(report.throughput.span_sec, Some(0.99));
    assert_eq!(report.summaries[0].runtime_sec, 0.2);
    assert_eq!(report.throughput.requests_per_sec, Some(2.0 / 0.99));
    assert_eq!(report.throughput.output_tokens_per_sec, Some(20.0 / 0.99));
}

#[test]
fn a_run_without_a_completed_request_has_a_report() {
    let report = build(&[failed(FailureKind::Connect, 1, true)]);
    assert!(report.summaries.is_empty() && report.turns.is_empty() && report.metrics.is_empty());
    assert_eq!(report.headlines[0].percentiles[0].value, None);
    let empty = build(&[]);
    assert_eq!(empty.throughput.span_sec, None);
}

#[test]
fn every_number_of_a_report_is_defined() {
    let report = build(&[completed("a", 1, 100, 50, Some(0)), completed("a", 2, 300, 20, Some(1))]);
    let table = report.summaries.iter().flat_map(|summary| &summary.table);
    for metric in report.metrics.iter().chain(table) {
        assert!(definition(&metric.id).is_some(), "{}", metric.id);
    }
    for headline in &report.headlines {
        assert!(definition(&headline.id).is_some(), "{}", headline.id);
    }
    assert_eq!(report.metric("itl_ms").unwrap().count, 18);
}

#[test]
fn a_report_survives_its_serialised_form() {
    let report = build(&[completed("a", 1, 100, 50, Some(0)), completed("a", 2, 317, 20, None)]);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<RunReport>(&text).unwrap(), report);
}

#[test]
fn every_key_of_a_row_is_defined() {
    let plan = plan();
    let records = [completed("a", 1, 100, 50, Some(0))];
    let input = ReportInput {
        plan: &plan,
        environment: &Environment::default(),
        records: &records,
        counts: &[],
        facts: &RunFacts::default(),
    };
    let row = serde_json::to_value(&input.rows()[0]).unwrap();
    for key in row.as_object().unwrap().keys() {
        assert!(definition(key).is_some(), "{key}");
    }
}
