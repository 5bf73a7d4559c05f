//! Files against recorded ones, and read back.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../../metrics/tests/support/mod.rs"]
mod support;

use std::io::Cursor;
use std::path::Path;

use calamine::{Data, Reader, Xlsx};
use serde_json::{Value, json};
use support::{case_rows, cases, synthetic_rows};
use turnbench_metrics::{FailedRequest, RequestRow, SummaryOptions, summarize};
use turnbench_model::{Content, Conversation, FailureKind, Message};
use turnbench_report::{
    ConversationsJson, FailedRequestsJson, Parameters, StatsKeys, Workbook, failed_requests_path,
    stats_json, workbook_file_name,
};

/// What is written to a file.
fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn stats_text(rows: &[RequestRow], keys: StatsKeys) -> String {
    text(|out| stats_json(rows, keys, out).unwrap())
}

fn conversations_text(finished: &[Conversation], unfinished: &[Conversation]) -> String {
    text(|out| {
        let mut list = ConversationsJson::new(out);
        for conversation in finished {
            list.finished(conversation).unwrap();
        }
        for conversation in unfinished {
            list.unfinished(conversation).unwrap();
        }
        list.end().unwrap();
    })
}

fn parameters() -> Parameters {
    Parameters {
        model: "tokenizer/bpe".to_owned(),
        num_clients: 3,
        num_conversations: 7,
        active_conversations: None,
        seed: 0,
        min_tokens: None,
        max_tokens: None,
    }
}

fn generation(case: &Value) -> Vec<(String, String)> {
    let rows = &case["xlsx"]["Summary"]["rows"];
    if case["generated"] != true {
        return Vec::new();
    }
    let names = rows[3].as_array().unwrap().iter().filter_map(Value::as_str);
    let texts = rows[4].as_array().unwrap().iter().filter_map(Value::as_str);
    names.zip(texts).map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn workbook(case: &Value, rows: &[RequestRow], keys: StatsKeys) -> Xlsx<Cursor<Vec<u8>>> {
    let fractions = case["warmup_fractions"].as_array().unwrap();
    let between_turns = case["between_turns"] == true;
    let options = SummaryOptions {
        warmup_fractions: fractions.iter().filter_map(Value::as_f64).collect(),
        warmup_runtime_sec: case["warmup_runtime_sec"].as_f64(),
        between_turns,
    };
    let workbook = Workbook {
        parameters: &parameters(),
        generation: &generation(case),
        summaries: &summarize(rows, &options),
        rows,
        keys,
        between_turns,
    };
    Xlsx::new(Cursor::new(workbook.to_bytes().unwrap())).unwrap()
}

/// Numbers were recorded with 16 significant digits.
fn same(found: Option<&Data>, expect: &Value) -> bool {
    match (found.unwrap_or(&Data::Empty), expect) {
        (Data::Empty, Value::Null) => true,
        (Data::String(found), Value::String(expect)) => found == expect,
        (Data::Float(found), Value::Number(_)) => {
            let expect = expect.as_f64().unwrap();
            (found - expect).abs() <= expect.abs() * 5e-16
        }
        _ => false,
    }
}

#[test]
fn workbooks_have_the_recorded_cells() {
    let mut checked = 0;
    for case in cases().iter().filter(|case| case.get("xlsx").is_some()) {
        let mut found = workbook(case, &case_rows(case), StatsKeys::Reference);
        assert_eq!(found.sheet_names(), ["Summary", "Raw data"]);
        for (sheet, expect) in case["xlsx"].as_object().unwrap() {
            let range = found.worksheet_range(sheet).unwrap();
            let rows = expect["rows"].as_array().unwrap();
            let columns = rows[0].as_array().unwrap().len();
            assert_eq!(range.end(), Some((rows.len() as u32 - 1, columns as u32 - 1)), "{sheet}");
            for (line, row) in rows.iter().enumerate() {
                for (column, expect) in row.as_array().unwrap().iter().enumerate() {
                    let cell = range.get_value((line as u32, column as u32));
                    let name = &case["name"];
                    assert!(same(cell, expect), "{name} {sheet} {line} {column} {cell:?} {expect}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 1_000);
}

#[test]
fn our_columns_follow_those_of_the_reference() {
    let case = &cases()[0];
    let mut found = workbook(case, &case_rows(case), StatsKeys::All);
    let range = found.worksheet_range("Raw data").unwrap();
    let heading = |column: u32| range.get_value((0, column)).map(ToString::to_string);
    assert_eq!(heading(12).as_deref(), Some("end_time_ms"));
    assert_eq!(heading(13).as_deref(), Some("turn"));
}

#[test]
fn a_workbook_without_requests_has_its_parameters() {
    let case = json!({"warmup_fractions": [0.0]});
    let mut found = workbook(&case, &[], StatsKeys::All);
    let range = found.worksheet_range("Summary").unwrap();
    assert_eq!(range.get_value((0, 0)), Some(&Data::String("model".to_owned())));
}

#[test]
fn the_workbooks_name_has_clients_and_local_time() {
    let at = jiff::civil::date(2026, 11, 4).at(5, 9, 7, 0);
    assert_eq!(workbook_file_name(3, at), "statistics_3_clients__04-11-2026_05-09-07.xlsx");
}

#[test]
fn statistics_are_written_as_the_reference_writes_them() {
    let rows = synthetic_rows(1, false);
    let expect = r#"[
  {
    "ttft_ms": 113.42857142857143,
    "tpot_ms": 7.666666666666666,
    "latency_ms": 527.4285714285713,
    "start_time_ms": 1013.0,
    "input_num_turns": 1,
    "input_num_tokens": 754,
    "output_num_tokens": 55,
    "output_num_chunks": 54,
    "output_num_first_chunk_tokens": 1,
    "approx_cached_percent": 54.0,
    "conversation_id": "conv_0",
    "client_id": 0
  }
]"#;
    assert_eq!(stats_text(&rows, StatsKeys::Reference), expect);
    assert_eq!(stats_text(&[], StatsKeys::Reference), "[]");
    let all = stats_text(&rows, StatsKeys::All);
    assert!(all.starts_with(&expect[..expect.len() - "\n  }\n]".len()]));
    assert!(all.contains("\"cached_tokens\": null"));
}

#[test]
fn failed_requests_go_to_a_file_of_their_own() {
    let failed = FailedRequest {
        conversation_id: "c".to_owned(),
        client_id: 0,
        turn: 1,
        attempt: 2,
        last_attempt: true,
        start_time_ms: None,
        input_num_turns: 1,
        error: FailureKind::HttpStatus,
        status: Some(503),
        message: "é".to_owned(),
    };
    let text = text(|out| {
        let mut list = FailedRequestsJson::new(out);
        list.push(&failed).unwrap();
        list.end().unwrap();
    });
    assert!(text.contains("\"error\": \"http_status\",\n    \"status\": 503,"), "{text}");
    assert!(text.contains("\"message\": \"\\u00e9\""), "{text}");
    let path = failed_requests_path(Path::new("out/stats.json"));
    assert_eq!(path, Path::new("out/stats.failed.json"));
    assert_eq!(failed_requests_path(Path::new("stats")), Path::new("stats.failed.json"));
}

#[test]
fn conversations_are_written_as_the_reference_writes_them() {
    let conversation = |id: &str| {
        let messages = vec![Message::new("user", "é \"x\""), Message::new("assistant", "日")];
        Conversation::new(id, messages)
    };
    let expect = r#"[
    {
        "id": "conv_a",
        "messages": [
            {
                "role": "user",
                "content": "\u00e9 \"x\""
            },
            {
                "role": "assistant",
                "content": "\u65e5"
            }
        ]
    }
]"#;
    assert_eq!(conversations_text(&[conversation("conv_a")], &[]), expect);
    assert_eq!(conversations_text(&[], &[]), "[]");
    let both = conversations_text(&[conversation("a")], &[conversation("b")]);
    let both: Value = serde_json::from_str(&both).unwrap();
    assert_eq!(both[0].get("finished"), None);
    assert_eq!(both[1]["finished"], json!(false));
}

#[test]
fn a_written_conversation_reads_back() {
    let mut message = Message::new("assistant", "");
    message.content = Content::Null;
    message.extra.insert("tool_calls".to_owned(), json!([{"id": "t"}]));
    let conversation = Conversation::new("c", vec![message]);
    let text = conversations_text(std::slice::from_ref(&conversation), &[]);
    let read: Vec<Conversation> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, [conversation]);
}
