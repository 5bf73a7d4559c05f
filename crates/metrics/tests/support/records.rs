//! Records made by hand.

use turnbench_metrics::{Environment, ReportBuilder, RunFacts, RunReport};
use turnbench_model::{
    Answer, Failure, FailureKind, Nanos, Outcome, Phase, Plan, Received, RequestRecord, Stamps,
    TokenCounts, Usage,
};

/// The report on these records under [`plan`], without local token counts.
pub(crate) fn build(records: &[RequestRecord], facts: &RunFacts) -> RunReport {
    build_as(&plan(), records, &Environment::default(), facts)
}

/// The report on records of a run of this plan, on this machine.
pub(crate) fn build_as(
    plan: &Plan,
    records: &[RequestRecord],
    environment: &Environment,
    facts: &RunFacts,
) -> RunReport {
    let mut builder = ReportBuilder::new(plan);
    for record in records {
        builder.add(record, &TokenCounts::default());
    }
    builder.report(environment, facts)
}

/// A plan with every knob at its default.
pub(crate) fn plan() -> Plan {
    serde_json::from_value(serde_json::json!({
        "schema_version": 1,
        "compat": "none",
        "target": {
            "url": "http://localhost:8000", "served_model_name": "m", "header_names": [],
            "api_key": false, "insecure": false, "ca_cert": null
        },
        "workload": {
            "model": "m", "input_file": "in.json", "input_sha256": "", "conversations_count": 2,
            "source": {"kind": "data_set", "format": "conversations"}, "tokenizer": {"kind": "none"}, "seed": 0
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
    .expect("the plan has its form")
}

/// A completed request: ten tokens, one each 10 ms, 100 prompt tokens for each turn.
pub(crate) fn completed(
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
        ends_conversation: false,
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
        server_times: None,
        usage: Some(Usage {
            prompt_tokens: Some(100 * u64::from(turn)),
            completion_tokens: Some(10),
            cached_tokens: cached,
            ..Usage::default()
        }),
        reconnects_count: 0,
        reads_count: 10,
        client_delay_max_ns: None,
    }
}

/// A failed attempt, sent at 500 ms.
pub(crate) fn failed(kind: FailureKind, attempt: u32, last_attempt: bool) -> RequestRecord {
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
