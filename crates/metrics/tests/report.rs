//! Whole reports from hand-made records.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use support::records::{build as build_with, completed, failed, plan};
use turnbench_metrics::{ConversationCounts, ReportBuilder, RunFacts, RunReport, definition};
use turnbench_model::{
    FailureKind, Nanos, Phase, Received, RequestRecord, StampSource, TokenCounts,
};

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
    build_with(records, &facts)
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

/// A completed request whose events had lain in the kernel for so long.
fn delayed(delays_ns: &[u64]) -> RequestRecord {
    let mut record = completed("a", 1, 100, 50, None);
    record.answer.chunk_delays_ns = delays_ns.iter().copied().map(Nanos).collect();
    let first = record.stamps.first_token.unwrap();
    let read_ns = first.at_ns + Nanos(delays_ns[0]);
    record.stamps.first_token = Some(Received { read_ns, source: StampSource::Kernel, ..first });
    record.client_delay_max_ns = record.answer.chunk_delays_ns.iter().copied().max();
    record
}

#[test]
fn the_clients_delay_has_one_sample_for_each_event_of_completed_requests() {
    let mut cut_off = delayed(&[90_000_000]);
    cut_off.outcome = failed(FailureKind::Truncated, 1, true).outcome;
    let mut own_stamp = delayed(&[2_000, 0, 4_000]);
    own_stamp.answer.user_stamped_chunks = vec![1];
    let report = build(&[own_stamp, delayed(&[6_000, 0, 8_000]), cut_off]);
    for delay in [report.metric("client_delay_ms").unwrap(), &report.client.client_delay_ms] {
        assert_eq!((delay.count, delay.mean, delay.max), (5, Some(0.004), Some(0.008)));
    }
    let first = report.metric("first_token_delay_ms").unwrap();
    assert_eq!((first.count, first.percentile(50.0)), (2, Some(0.004)));
    assert_eq!(report.client.first_token_delay_ms.max, Some(0.006));
    let largest = report.metric("client_delay_max_ms").unwrap();
    assert_eq!((largest.count, largest.min, largest.max), (2, Some(0.004), Some(0.008)));
    assert_eq!(report.client.kernel_stamped_ratio, Some(1.0));
}

#[test]
fn a_builder_keeps_no_text_of_an_answer() {
    let plan = plan();
    let mut builder = ReportBuilder::new(&plan);
    for turn in 1..=3 {
        let mut record = completed("a", turn, 100, 50, None);
        record.answer.content = "needle in a haystack".to_owned();
        record.answer.reasoning = "needle of thought".to_owned();
        record.answer.first_chunk = "needle".to_owned();
        record.answer.tool_calls = vec![serde_json::json!({"name": "needle"})];
        builder.add(&record, &TokenCounts::default());
    }
    assert!(!format!("{builder:?}").contains("needle"));
    assert_eq!(builder.rows().len(), 3);
}

#[test]
fn rows_of_a_conversation_share_its_id() {
    let plan = plan();
    let mut builder = ReportBuilder::new(&plan);
    for turn in 1..=2 {
        builder.add(&completed("a", turn, 100, 50, None), &TokenCounts::default());
    }
    let [first, second] = builder.rows() else { panic!("two rows") };
    assert!(std::sync::Arc::ptr_eq(&first.conversation_id, &second.conversation_id));
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
    let mut unjudged = serde_json::to_value(&report).unwrap();
    unjudged.as_object_mut().unwrap().remove("verdict");
    let error = serde_json::from_value::<RunReport>(unjudged).unwrap_err().to_string();
    assert!(error.contains("missing field `verdict`"), "{error}");
}

#[test]
fn every_key_of_a_row_is_defined() {
    let plan = plan();
    let mut builder = ReportBuilder::new(&plan);
    builder.add(&completed("a", 1, 100, 50, Some(0)), &TokenCounts::default());
    let row = serde_json::to_value(&builder.rows()[0]).unwrap();
    for key in row.as_object().unwrap().keys() {
        assert!(definition(key).is_some(), "{key}");
    }
}
