//! Times writing and reading of records with 1,000 events each:
//! `cargo run --release -p turnbench-rundir --example record_speed`.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a stopwatch for people")]

use std::time::Instant;

use turnbench_model::{Answer, Nanos, Outcome, Phase, RequestRecord, Stamps};
use turnbench_rundir::{Line, LinesWriter};

const RECORDS: u64 = 2_000;
const EVENTS: u64 = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let record = record();
    let events = (RECORDS * EVENTS) as f64;
    let mut writer = LinesWriter::unnamed()?;
    let writing = Instant::now();
    for _ in 0..RECORDS {
        // A flush for each, as when one comes at a time.
        writer.push(&record)?;
        writer.flush()?;
    }
    let (mut lines, flushed) = writer.finish();
    flushed?;
    let written = writing.elapsed();
    let reading = Instant::now();
    let mut reader = lines.read()?;
    let mut records = 0;
    while let Some(Line::Value(read)) = reader.read::<RequestRecord>()? {
        records += u64::from(read == record);
    }
    let read = reading.elapsed();
    println!("written {:6.1} ns for each event", written.as_nanos() as f64 / events);
    println!("read    {:6.1} ns for each event", read.as_nanos() as f64 / events);
    println!("{records} records of {} bytes", serde_json::to_vec(&record)?.len());
    Ok(())
}

/// An answer of 1,000 tokens at 100 tokens a second, read some ten microseconds after arrival.
fn record() -> RequestRecord {
    let jitter = |index: u64| index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 46;
    RequestRecord {
        conversation_id: "conversation".into(),
        conversation: 0,
        turn: 1,
        attempt: 1,
        last_attempt: true,
        ends_conversation: true,
        client: 0,
        connection: Some(0),
        phase: Phase::Main,
        input_messages: 1,
        request_bytes: 1_000,
        max_tokens: Some(EVENTS as u32),
        outcome: Outcome::Completed,
        stamps: Stamps::default(),
        answer: Answer {
            content: "token ".repeat(EVENTS as usize),
            chunks_ns: (0..EVENTS)
                .map(|index| Nanos(50_000_000 + index * 10_000_000 + jitter(index)))
                .collect(),
            chunk_delays_ns: (0..EVENTS).map(|index| Nanos(5_000 + jitter(index) / 16)).collect(),
            ..Answer::default()
        },
        usage: None,
        server_times: None,
        reconnects_count: 0,
        reads_count: EVENTS as u32,
        client_delay_max_ns: Some(Nanos(25_000)),
    }
}
