//! Requests made by rule, and the recorded cases of `testdata/statistics`.
#![allow(dead_code, reason = "shared by several test programs, each of which uses a part")]
#![allow(clippy::expect_used, reason = "a test that cannot go on should panic")]

pub(crate) mod records;

use serde_json::Value;
use turnbench_metrics::RequestRow;

/// The requests of a recorded case (see `testdata/statistics/README.md`).
pub(crate) fn synthetic_rows(count: usize, start_together: bool) -> Vec<RequestRow> {
    let mut state: u64 = 1;
    let mut clock = 1000.0;
    let mut rows = Vec::new();
    for index in 0..count as u32 {
        state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
        let x = (state >> 8) % 1000;
        let start = if start_together { 5000.0 } else { clock + 3.25 * (x % 5) as f64 };
        rows.push(synthetic_row(x, index, start));
        clock += 11.0 + x as f64 / 100.0;
    }
    rows
}

fn synthetic_row(x: u64, index: u32, start_time_ms: f64) -> RequestRow {
    let ttft_ms = 20.0 + x as f64 / 7.0;
    let tpot_ms = 5.0 + (x % 17) as f64 / 3.0;
    let output = 1 + x % 60;
    RequestRow {
        ttft_ms: Some(ttft_ms),
        tpot_ms: Some(tpot_ms),
        latency_ms: ttft_ms + tpot_ms * (output - 1) as f64,
        start_time_ms,
        input_num_turns: 1 + 2 * (x % 6) as u32,
        input_num_tokens: Some(100 + x),
        output_num_tokens: Some(output),
        output_num_chunks: output - 1,
        output_num_first_chunk_tokens: Some(1),
        approx_cached_percent: Some((x % 100) as f64),
        conversation_id: format!("conv_{}", index % 7).into(),
        client_id: index % 3,
        ..blank_row()
    }
}

/// A row in which everything of ours is unknown.
pub(crate) fn blank_row() -> RequestRow {
    RequestRow {
        input_num_turns: 1,
        conversation_id: "c".into(),
        turn: 1,
        attempt: 1,
        ..RequestRow::default()
    }
}

/// The recorded cases.
pub(crate) fn cases() -> Vec<Value> {
    let text = include_str!("../../../../testdata/statistics/cases.json");
    serde_json::from_str(text).expect("testdata/statistics/cases.json is JSON")
}

/// The requests that belong to a case.
pub(crate) fn case_rows(case: &Value) -> Vec<RequestRow> {
    let samples = case["samples"].as_u64().expect("samples") as usize;
    synthetic_rows(samples, case["name"] == "ties")
}
