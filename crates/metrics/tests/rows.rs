//! Rows of single requests, against recorded ones and by hand.
#![allow(clippy::expect_used, reason = "a test that cannot go on should panic")]

use serde_json::Value;
use turnbench_metrics::{RequestRow, RowOptions};
use turnbench_model::{
    Answer, Compat, CountSource, Failure, FailureKind, Nanos, Outcome, Phase, Received,
    RequestRecord, StampSource, Stamps, TokenCounts, Usage,
};

const OURS: RowOptions = RowOptions { compat: Compat::None, stream: true };
const REFERENCE: RowOptions = RowOptions { compat: Compat::Vllm, stream: true };

fn ms(millis: f64) -> Nanos {
    Nanos((millis * 1e6).round() as u64)
}

/// A completed request sent at 1,234.5 ms, with the given TTFT and latency, and `chunks` chunks
/// at equal distances.
fn record(ttft_ms: f64, latency_ms: f64, chunks: u64) -> RequestRecord {
    let sent = 1234.5;
    let stamp = |at: f64| Some(Received::user(ms(sent + at)));
    let step = (latency_ms - ttft_ms) / chunks.max(1) as f64;
    RequestRecord {
        conversation_id: "c".into(),
        conversation: 0,
        turn: 1,
        attempt: 1,
        last_attempt: true,
        ends_conversation: false,
        client: 0,
        connection: Some(0),
        phase: Phase::Main,
        input_messages: 1,
        request_bytes: 10,
        max_tokens: None,
        outcome: Outcome::Completed,
        stamps: Stamps {
            intended_ns: ms(sent),
            sent_ns: Some(ms(sent)),
            first_token: stamp(ttft_ms),
            end: stamp(latency_ms),
            ..Stamps::default()
        },
        answer: Answer {
            chunks_ns: (0..chunks).map(|index| ms(ttft_ms + step * index as f64)).collect(),
            ..Answer::default()
        },
        usage: None,
        server_times: None,
        reconnects_count: 0,
        reads_count: 1,
        client_delay_max_ns: None,
    }
}

fn row(record: &RequestRecord, counts: &TokenCounts, options: RowOptions) -> RequestRow {
    RequestRow::from_record(record, counts, options).expect("a completed request has a row")
}

#[test]
fn compat_rows_equal_the_recorded_ones() {
    let text = include_str!("../../../testdata/statistics/rows.json");
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    assert!(cases.len() >= 30);
    for case in cases {
        let expect = &case["stats"];
        let number = |value: &Value| value.as_f64().unwrap();
        let after_first = case["num_chunks"].as_u64().unwrap();
        let mut record =
            record(number(&case["ttft_ms"]), number(&case["latency_ms"]), after_first + 1);
        record.input_messages = expect["input_num_turns"].as_u64().unwrap() as u32;
        let counts = TokenCounts {
            input: expect["input_num_tokens"].as_u64(),
            question: case["question_tokens"].as_u64(),
            output: expect["output_num_tokens"].as_u64(),
            first_chunk: expect["output_num_first_chunk_tokens"].as_u64(),
        };
        let stream = case["name"] != "no_stream_shape";
        let row = row(&record, &counts, RowOptions { compat: Compat::Vllm, stream });
        let row = serde_json::to_value(row).unwrap();
        for (key, value) in expect.as_object().unwrap() {
            match value.as_f64() {
                Some(value) => assert_eq!(row[key].as_f64(), Some(value), "{case} {key}"),
                None => assert_eq!(&row[key], value, "{case} {key}"),
            }
        }
    }
}

#[test]
fn reference_keys_come_first_and_in_order() {
    let row = row(&record(1.0, 2.0, 2), &TokenCounts::default(), OURS);
    let text = serde_json::to_string(&row).unwrap();
    let keys = [
        "ttft_ms",
        "tpot_ms",
        "latency_ms",
        "start_time_ms",
        "input_num_turns",
        "input_num_tokens",
        "output_num_tokens",
        "output_num_chunks",
        "output_num_first_chunk_tokens",
        "approx_cached_percent",
        "conversation_id",
        "client_id",
        "turn",
    ];
    let places: Vec<_> =
        keys.iter().map(|key| text.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn a_failed_request_has_no_row() {
    let mut record = record(1.0, 2.0, 2);
    record.outcome = Outcome::Failed(Failure {
        kind: FailureKind::Timeout,
        status: None,
        message: String::new(),
        retry_after_ns: None,
    });
    assert_eq!(RequestRow::from_record(&record, &TokenCounts::default(), OURS), None);
}

#[test]
fn output_tokens_come_from_the_server_then_the_tokenizer_then_the_chunks() {
    let mut record = record(10.0, 110.0, 11);
    let counted = TokenCounts { output: Some(15), first_chunk: Some(1), ..TokenCounts::default() };
    let check = |record: &RequestRecord, counts: &TokenCounts, options, expect| {
        let row = row(record, counts, options);
        assert_eq!((row.output_num_tokens, row.output_tokens_source), expect);
    };
    check(&record, &TokenCounts::default(), OURS, (Some(11), Some(CountSource::Chunks)));
    check(&record, &counted, OURS, (Some(15), Some(CountSource::Tokenizer)));
    record.usage = Some(Usage { completion_tokens: Some(21), ..Usage::default() });
    check(&record, &counted, OURS, (Some(21), Some(CountSource::Server)));
    check(&record, &counted, REFERENCE, (Some(15), Some(CountSource::Tokenizer)));
    check(&record, &TokenCounts::default(), REFERENCE, (None, None));
    assert_eq!(row(&record, &counted, OURS).tpot_ms, Some(5.0));
}

#[test]
fn a_fragment_never_counts_for_more_tokens_than_the_answer_leaves_it() {
    // 11 tokens in 11 chunks: one each, though the first re-tokenises to 3.
    let mut record = record(10.0, 110.0, 11);
    record.usage = Some(Usage { completion_tokens: Some(11), ..Usage::default() });
    let counts = TokenCounts { output: Some(16), first_chunk: Some(3), ..TokenCounts::default() };
    let ours = row(&record, &counts, OURS);
    assert_eq!(ours.output_num_first_chunk_tokens, Some(1));
    assert_eq!((ours.ttft_ms, ours.ttft_corrected), (Some(10.0), false));
    let reference = row(&record, &counts, REFERENCE);
    assert_eq!(reference.output_num_first_chunk_tokens, Some(3));
    assert!(reference.ttft_corrected);
    assert_eq!(reference.ttft_raw_ms, Some(10.0));
}

#[test]
fn a_first_chunk_of_several_tokens_lowers_the_tables_ttft_only() {
    let mut record = record(100.0, 200.0, 3);
    record.usage = Some(Usage { completion_tokens: Some(22), ..Usage::default() });
    let counts = TokenCounts { output: Some(22), first_chunk: Some(2), ..TokenCounts::default() };
    let row = row(&record, &counts, OURS);
    assert_eq!((row.tpot_ms, row.ttft_ms, row.ttft_raw_ms), (Some(5.0), Some(95.0), Some(100.0)));
    assert!(row.ttft_corrected);
}

#[test]
fn late_sends_and_client_delay_are_kept_apart_from_ttft() {
    let mut record = record(10.0, 20.0, 2);
    record.stamps.intended_ns = ms(1200.0);
    record.client_delay_max_ns = Some(ms(0.5));
    record.stamps.first_token =
        Some(Received { at_ns: ms(1244.5), read_ns: ms(1244.75), source: StampSource::Kernel });
    let row = row(&record, &TokenCounts::default(), OURS);
    assert_eq!(row.ttft_raw_ms, Some(10.0));
    assert_eq!(row.ttft_intended_ms, Some(44.5));
    assert_eq!(row.send_lateness_ms, 34.5);
    assert_eq!((row.first_token_delay_ms, row.client_delay_max_ms), (Some(0.25), Some(0.5)));
    assert_eq!(row.stamp_source, Some(StampSource::Kernel));
}

#[test]
fn gaps_between_chunks_are_described() {
    let mut record = record(10.0, 40.0, 0);
    record.answer.chunks_ns = vec![ms(10.0), ms(11.0), ms(14.0), ms(20.0)];
    let row = row(&record, &TokenCounts::default(), OURS);
    assert_eq!((row.itl_p50_ms, row.itl_max_ms), (Some(3.0), Some(6.0)));
    assert_eq!(row.output_num_chunks, 3);
    let mean = row.itl_mean_ms.unwrap();
    assert!((mean - 10.0 / 3.0).abs() < 1e-12);
}

#[test]
fn an_answer_that_was_not_streamed_has_no_first_chunk() {
    let counts = TokenCounts { output: Some(8), first_chunk: Some(8), ..TokenCounts::default() };
    for compat in [Compat::None, Compat::Vllm] {
        let row = row(&record(300.0, 300.0, 1), &counts, RowOptions { compat, stream: false });
        assert_eq!(row.output_num_first_chunk_tokens, Some(0));
        assert_eq!((row.ttft_ms, row.tpot_ms), (Some(300.0), Some(0.0)));
    }
}
