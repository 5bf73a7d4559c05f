//! Our own blocks, as people see them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../../metrics/tests/support/mod.rs"]
mod support;

use support::records::{build_as, completed, failed, plan};
use turnbench_metrics::{
    ConversationCounts, Describe, Environment, Level, RunFacts, RunReport, TtftCorrection, Verdict,
};
use turnbench_model::{FailureKind, Nanos, Received, RequestRecord, StampSource};
use turnbench_report::{
    client_text, correction_text, demo_text, headlines_text, outcome_text, turns_text, verdict_text,
};

fn build(records: &[RequestRecord]) -> RunReport {
    let conversations = ConversationCounts {
        total: 1_204,
        finished: 1_000,
        unfinished: 4,
        failed: 0,
        not_started: 200,
    };
    let mut plan = plan();
    plan.load.num_clients = 20;
    let facts = RunFacts { conversations, interrupted: true, ..RunFacts::default() };
    build_as(&plan, records, &Environment::default(), &facts)
}

/// `turns` turns of 20 conversations; the first takes 180 ms to its first token, later ones 24.
fn conversations(turns: u32, cached: bool) -> Vec<RequestRecord> {
    let mut records = Vec::new();
    for turn in 1..=turns {
        for index in 0..20 {
            let ttft_ms = if turn == 1 { 180 + index } else { 24 + index % 3 };
            let hits = u64::from(turn - 1) * 90;
            let sent_ms = u64::from(turn) * 1_000 + index;
            records.push(completed("c", turn, sent_ms, ttft_ms, cached.then_some(hits)));
        }
    }
    records
}

fn check(text: &str, expect: &str) {
    assert!(text.lines().all(|line| line.chars().count() <= 80), "too wide:\n{text}");
    assert_eq!(text, expect, "found:\n{text}");
}

#[test]
fn failures_and_unfinished_conversations_stand_beside_the_table() {
    let mut records = conversations(1, false);
    records.push(failed(FailureKind::HttpStatus, 1, false));
    records.push(failed(FailureKind::HttpStatus, 2, true));
    records.push(failed(FailureKind::Cancelled, 1, true));
    check(
        &outcome_text(&build(&records), 80),
        "\
requests       20 completed, 1 failed, 1 cancelled (23 attempts, 1 retry)
  http_status 503: 2 attempts, 1 request given up; first: attempt 1
  cancelled: 1 attempt, 1 request given up; first: attempt 1
conversations  1,000 finished, 4 unfinished, 200 not started of 1,204
run            interrupted before its end
throughput     24.75 requests/s, 247.5 output tokens/s, over 0.81 s
",
    );
}

#[test]
fn reconnects_are_told_but_are_no_retries() {
    let mut records = conversations(1, false);
    records[3].reconnects_count = 1;
    let text = outcome_text(&build(&records), 80);
    assert!(text.starts_with("requests       20 completed, 0 failed (1 reconnect)\n"), "{text}");
}

#[test]
fn a_run_in_which_nothing_was_sent_says_so() {
    let report = build(&[]);
    let expect = "\
requests       0 completed, 0 failed
conversations  1,000 finished, 4 unfinished, 200 not started of 1,204
run            interrupted before its end
";
    check(&outcome_text(&report, 80), expect);
    assert_eq!(turns_text(&report, 80), "");
    assert_eq!(headlines_text(&report), "");
    assert_eq!(client_text(&report, 80), "");
    assert_eq!(demo_text(&report), None);
}

#[test]
fn turns_have_their_ttft_and_their_cached_share() {
    check(
        &turns_text(&build(&conversations(3, true)), 80),
        "\
turn  requests  ttft p50 ms   p90  latency p50 ms  input p50  cached
1           20          190   197             280        100   0.0 %
2           20         25.0  26.0             115        200  45.0 %
3           20         25.0  26.0             115        300  60.0 %
2-3         40         25.0  26.0             115        250  54.0 %
later turns against turn 1: first token 7.6x faster (medians)
",
    );
}

#[test]
fn a_cache_that_is_not_reported_is_not_zero() {
    let text = turns_text(&build(&conversations(1, false)), 80);
    let expect = "\
turn  requests  ttft p50 ms  p90  latency p50 ms  input p50  cached
1           20          190  197             280        100       -
cached: not reported by the server (vLLM: --enable-prompt-tokens-details,
  SGLang: --enable-cache-report)
";
    check(&text, expect);
}

#[test]
fn many_turns_are_cut_and_counted() {
    let text = turns_text(&build(&conversations(30, true)), 80);
    assert!(text.contains("\n2-30 "), "{text}");
    assert!(text.ends_with("(18 turns more in the run report)\nlater turns against turn 1: first token 7.6x faster (medians)\n"), "{text}");
}

#[test]
fn headlines_have_intervals_that_stay_open_where_the_sample_is_too_small() {
    check(
        &headlines_text(&build(&conversations(1, false))),
        "\
ms [95 % interval]                p50             p90  p99
TTFT                   190 [185, 194]    197 [194, ?]    -
TPOT                10.0 [10.0, 10.0]  10.0 [10.0, ?]    -
Latency                280 [275, 284]    287 [284, ?]    -
",
    );
}

#[test]
fn the_demo_says_in_two_lines_what_the_cache_did() {
    let text = demo_text(&build(&conversations(3, true))).unwrap();
    let expect = "\
in short (TTFT: median; prompt tokens: mean, the server's count)
turn 1:      first token after 190 ms, 0 % of 100 prompt tokens cached
later turns: after 25.0 ms, 54 % of 250 prompt tokens cached, 7.6x faster
";
    check(&text, expect);
    assert_eq!(demo_text(&build(&conversations(1, true))), None);
}

#[test]
fn the_client_says_what_it_added() {
    let mut records = conversations(1, false);
    check(
        &client_text(&build(&records), 80),
        "\
client         18.1 of 20 requests in flight on average (20 at most)
               requests sent 1.00 ms after they were due (p90)
               from due to first token 190 ms (ttft_intended_ms: median; p90
               198 ms)
               gaps between tokens 10.0 ms (itl_ms: median; p99 10.0 ms)
               first tokens stamped by the client itself, so that its own delay
               is in their times
",
    );
    for record in &mut records {
        let first = record.stamps.first_token.unwrap();
        record.answer.chunk_delays_ns = vec![Nanos(20_000); 10];
        record.stamps.first_token = Some(Received { source: StampSource::Kernel, ..first });
    }
    check(
        &client_text(&build(&records), 80),
        "\
client         18.1 of 20 requests in flight on average (20 at most)
               requests sent 1.00 ms after they were due (p90)
               from due to first token 190 ms (ttft_intended_ms: median; p90
               198 ms)
               gaps between tokens 10.0 ms (itl_ms: median; p99 10.0 ms)
               bytes read 0.02 ms after arrival (p99), which no TTFT contains:
               the kernel stamped every first token
",
    );
    for record in records.iter_mut().take(3) {
        record.answer.chunks_ns[0] = record.answer.chunks_ns[1];
        for delay in &mut record.answer.chunk_delays_ns[..2] {
            *delay = Nanos::from_millis(3);
        }
    }
    let text = client_text(&build(&records), 80);
    assert!(
        text.ends_with(
            "
               bytes read 3.00 ms after arrival (p99), the kernel stamped every
               first token; 3 of 20 first tokens share a stamp with later ones,
               so that TTFT is too large by up to 10.0 ms
"
        ),
        "{text}"
    );
}

#[test]
fn threads_and_the_servers_own_times_are_told_where_they_are_known() {
    let mut report = build(&conversations(1, false));
    report.client.thread_busy_ratio = Some(0.314);
    report.client.capacity_ratio = Some(0.2);
    report.client.loop_lag_ms = Describe::of_all(&[0.9, 7.3], &[90.0, 99.0]);
    report.client.loop_lag_max_ms = Some(7.3);
    report.client.server_gap_ms = Describe::of_all(&[1.0, 2.0, 9.0], &[50.0, 90.0, 99.0]);
    let text = client_text(&report, 80);
    assert!(text.ends_with(
        "
               busiest thread 31 % of its core, event loops 6.66 ms late (p90),
               7.30 ms at worst, 20 % of the client's capacity here in use
               TTFT 2.00 ms beyond the server's own (server_gap_ms: median of 3
               requests; p90 7.60 ms, at most 9.00 ms)
"
    ));
    report.client.loop_lag_ms = Describe::of_all(&[0.9, 1.05], &[90.0, 99.0]);
    report.client.loop_lag_max_ms = Some(1.05);
    assert!(!client_text(&report, 80).contains("event loops"), "the timers' grain is no lag");
    report.client.cores_busy_ratio = Some(0.97);
    let text = client_text(&report, 200);
    assert!(text.contains("of its core, all threads 97 % of the client's cores, "), "{text}");
}

#[test]
fn the_time_for_connections_is_told_apart() {
    let mut report = build(&conversations(1, false));
    report.client.held_back_ms = Describe::of_all(&[0.5], &[90.0]);
    let text = client_text(&report, 200);
    let expect = "requests sent 0.50 ms after they were due (p90; 1.00 ms with new connections)\n";
    assert!(text.contains(expect), "{text}");
    assert!(text.lines().all(|line| line.len() <= 100), "{text}");
}

#[test]
fn the_verdict_names_each_reason_and_what_it_touches() {
    let mut report = build(&conversations(1, false));
    check(
        &verdict_text(&report, 80),
        "\
verdict        caution: some numbers say less than they seem to
  user_stamps: the kernel stamped 0 % of the first tokens (at least 99 % are
    wanted); the others contain the client's own delay, which nobody measured;
    touches ttft_ms, ttft_raw_ms, tpot_ms, itl_ms, latency_ms
  few_requests: 20 requests completed; below 100 there is no p99, and the other
    percentiles are rough; touches ttft_raw_ms, tpot_ms, latency_ms
  interrupted: the run was cut short before its end; touches ttft_raw_ms,
    latency_ms, requests_per_sec
  note: how much of this machine's capacity the client used is not known;
    `turnbench selfcheck` measures it once for all later runs, in under 20 s
",
    );
    report.verdict.level = Level::ClientLimited;
    report.verdict.reasons.truncate(1);
    let text = verdict_text(&report, 80);
    assert!(text.contains("\n  user_stamps (caution): the kernel"), "{text}");
    report.verdict = Verdict { level: Level::Trustworthy, reasons: Vec::new(), notes: Vec::new() };
    check(
        &verdict_text(&report, 80),
        "verdict        trustworthy: nothing says that the client made these numbers\n",
    );
}

#[test]
fn the_99th_percentile_is_shown_from_100_samples_on() {
    let report = build(&conversations(5, true));
    assert!(headlines_text(&report).lines().all(|line| !line.ends_with(" -")));
    assert!(client_text(&report, 80).contains("sent 1.00 ms after they were due (p99)"));
}

#[test]
fn without_streaming_there_is_no_ttft_and_a_line_says_so() {
    let mut report = build(&conversations(1, true));
    report.plan.request.stream = false;
    check(
        &turns_text(&report, 80),
        "\
turn  requests  ttft p50 ms  p90  latency p50 ms  input p50  cached
1           20            -    -             280        100   0.0 %
ttft: answers were not streamed, so there is none (the statistics above have the
  whole answer's time as ttft_ms)
",
    );
    check(
        &headlines_text(&report),
        "\
ms [95 % interval]             p50           p90  p99
TTFT                             -             -    -
TPOT                             -             -    -
Latency             280 [275, 284]  287 [284, ?]    -
",
    );
    assert_eq!(demo_text(&report), None);
    assert!(client_text(&report, 80).contains("answers stamped by the client itself"));
}

#[test]
fn the_compatible_mode_did_not_ask_what_was_cached() {
    let mut report = build(&conversations(1, false));
    report.plan.compat = turnbench_model::Compat::Vllm;
    assert!(
        turns_text(&report, 80).contains("cached: not known; like the reference, --compat vllm")
    );
}

#[test]
fn a_lowered_ttft_is_noted() {
    assert_eq!(correction_text(&TtftCorrection { requests: 9, ..Default::default() }, 80), "");
    let correction = TtftCorrection { requests: 9, corrected: 5, nearly_all_removed: 3 };
    let expect = "\
note: ttft_ms is lowered for 5 of 9 requests, whose first chunk held several
      tokens, as the reference does; the tables below have ttft_raw_ms, as
      measured; next to nothing is left of it for 3 of them
";
    check(&correction_text(&correction, 80), expect);
}
