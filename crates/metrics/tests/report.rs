//! Whole reports from hand-made records.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use support::records::{completed, failed, plan};
use turnbench_metrics::{
    ConversationCounts, Environment, ReportInput, RunFacts, RunReport, definition,
};
use turnbench_model::{FailureKind, Phase, RequestRecord};

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
    let json = serde_json::to_value(&report).unwrap();
    let requests = &json["counts"]["requests"];
    for part in
        [requests, &json["throughput"], &json["cache"], &json["ttft_correction"], &json["client"]]
    {
        for key in part.as_object().unwrap().keys() {
            assert!(definition(key).is_some(), "{key}");
        }
    }
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
