//! What `turnbench run` does without `--compat`: every conversation is finished, and what is sent is
//! what was asked for.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use turnbench_metrics::RunFacts;
#[cfg(target_os = "linux")]
use turnbench_model::StampSource;

use crate::support::case::{Case, plain};
use crate::support::stub::Behaviour;

#[test]
fn a_connection_that_the_server_closes_between_requests_is_made_anew() {
    for name in ["bye", "unframed"] {
        let case = Case::new(Behaviour::always(name));
        let run = case.run(&[]);
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
        assert_eq!(case.failures(), [], "{name}");
        let records = case.records();
        let connections: BTreeSet<_> = records.iter().map(|record| record.connection).collect();
        assert_eq!(connections.len(), 4, "{name}: {connections:?}");
    }
}

#[test]
fn one_connection_serves_all_requests_of_a_client() {
    let case = Case::new(Behaviour::script(&["normal", "http500"]));
    case.run(&[]);
    let records = case.records();
    let first = records[0].connection;
    assert!(first.is_some() && records.iter().all(|record| record.connection == first));
    assert!(records[0].stamps.connect_ns.is_some() && records[1].stamps.connect_ns.is_none());
}

#[test]
fn warm_connections_stand_before_the_first_request() {
    let case = Case::new(Behaviour::default());
    let list: Vec<Value> = "abc".chars().map(|id| plain(&id.to_string(), 2)).collect();
    case.conversations(&Value::Array(list));
    case.run(&["-p", "3", "--connections-warm", "--threads", "2"]);
    let records = case.records();
    assert_eq!(records.len(), 6);
    let facts: RunFacts = serde_json::from_value(case.json("run/run_facts.json")).unwrap();
    let warm = &facts.warm_connections;
    assert_eq!(warm.len(), 3, "{facts:?}");
    assert_eq!(facts.shards.iter().map(|shard| shard.clients_count).sum::<u32>(), 3);
    for record in &records {
        assert_eq!(record.stamps.connect_ns, None);
        let opened = warm.iter().find(|it| Some(it.connection) == record.connection).unwrap();
        assert!(opened.connect_ns <= opened.connected_ns);
        assert!(Some(opened.connected_ns) <= record.stamps.sent_ns);
    }
}

#[test]
fn every_client_finishes_its_conversations() {
    for args in [
        &["-p", "1", "-k", "5"][..],
        &["-p", "2", "-k", "5"],
        &["-p", "5"],
        &["-p", "2", "-k", "3", "--conversation-sampling", "random"],
        &["-p", "3", "--no-early-stop"],
    ] {
        let case = Case::new(Behaviour::default());
        let list: Vec<Value> = "abcde".chars().map(|id| plain(&id.to_string(), 3)).collect();
        case.conversations(&Value::Array(list));
        let run = case.run(args);
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        assert_eq!(case.stub.posts().len(), 15, "{args:?}");
        assert_eq!(case.finished(), 5, "{args:?}");
        assert!(run.stdout.contains("5 finished of 5"), "{}", run.stdout);
    }
}

#[test]
fn open_conversations_take_turns_first_in_first_out() {
    let case = Case::new(Behaviour::default());
    case.conversations(&json!([plain("a", 2), plain("b", 2), plain("c", 2)]));
    case.run(&["-k", "2"]);
    let records = case.records();
    let order: Vec<(&str, u32)> =
        records.iter().map(|record| (&*record.conversation_id, record.turn)).collect();
    assert_eq!(order, [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("c", 1), ("c", 2)]);
}

#[test]
fn early_stop_ends_all_when_the_first_client_has_no_more_work() {
    let case = Case::new(Behaviour::script(&["hold_mid"]));
    let list: Vec<Value> = "abcdef".chars().map(|id| plain(&id.to_string(), 2)).collect();
    case.conversations(&Value::Array(list));
    // One client hangs in its first request until the limit; meanwhile the other does all the rest.
    let run = case.run(&["-p", "2", "--early-stop", "--request-timeout-sec", "1"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.finished(), 5);
    assert_eq!(case.failures().len(), 1);
}

/// One client fails its conversation and has no other; the second, on another thread, would pause for
/// about three hours before its next turn.
#[test]
fn early_stop_reaches_a_client_that_pauses_on_another_thread() {
    let case = Case::new(Behaviour::script(&["hold_mid"]));
    case.conversations(&json!([plain("a", 2), plain("b", 2)]));
    let limit = ["--request-timeout-sec", "1", "--request-rate", "0.0001"];
    let run = case.run(&[&["-p", "2", "--threads", "2", "--early-stop"][..], &limit].concat());
    assert_eq!(run.code, Some(1), "no conversation finished: {}", run.stderr);
    assert_eq!(case.stub.posts().len(), 2);
    let conversations = &case.report()["counts"]["conversations"];
    assert_eq!((&conversations["failed"], &conversations["unfinished"]), (&json!(1), &json!(1)));
}

#[test]
fn remainders_of_requests_and_conversations_are_spread() {
    let case = Case::new(Behaviour::default());
    let list: Vec<Value> = "abc".chars().map(|id| plain(&id.to_string(), 2)).collect();
    case.conversations(&Value::Array(list));
    let run = case.run(&["-n", "5", "-p", "2", "-k", "3"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.stub.posts().len(), 5);
    let conversations = &case.report()["counts"]["conversations"];
    assert_eq!(conversations["finished"], 2);
    assert_eq!(conversations["unfinished"], 1);
}

#[test]
fn max_turns_limits_the_messages_of_a_request() {
    for (limit, expect) in [("1", &[1, 1][..]), ("2", &[1, 1]), ("3", &[1, 3, 1, 3])] {
        let case = Case::new(Behaviour::default());
        case.conversations(&json!([plain("a", 3), plain("b", 3)]));
        case.run(&["--max-turns", limit]);
        assert_eq!(case.message_counts(), expect, "--max-turns {limit}");
    }
}

#[test]
fn the_warm_up_step_sends_first_turns_which_count_apart() {
    let case = Case::new(Behaviour::default());
    let run = case.run(&["--warmup-step"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.message_counts(), [1, 1, 3, 3]);
    let requests = &case.report()["counts"]["requests"];
    assert_eq!((&requests["completed"], &requests["warmup_attempts"]), (&json!(2), &json!(2)));
    assert_eq!(case.finished(), 2);
    assert!(run.stdout.contains("warmup_runtime_sec"), "{}", run.stdout);
}

#[test]
fn a_conversation_whose_warm_up_fails_begins_at_its_first_turn() {
    let case = Case::new(Behaviour::script(&["http500"]));
    let run = case.run(&["--warmup-step"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.message_counts(), [1, 1, 1, 3, 3]);
    assert_eq!(case.finished(), 2);
    let requests = &case.report()["counts"]["requests"];
    assert_eq!((&requests["failed"], &requests["warmup_failed_attempts"]), (&json!(0), &json!(1)));
}

#[test]
fn min_tokens_go_out_with_max_tokens_unless_told_not_to() {
    let tokens = |args: &[&str]| {
        let case = Case::new(Behaviour::default());
        let run = case.run(args);
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        let body = case.stub.bodies().remove(0);
        (body["min_tokens"].as_u64(), body["max_tokens"].as_u64(), body["ignore_eos"].clone())
    };
    let (min, max, ignore_eos) = tokens(&[]);
    assert!(min.is_some_and(|min| min > 1), "the recorded answer's tokens, not {min:?}");
    assert_eq!((max, ignore_eos), (min, Value::Null));
    assert_eq!(tokens(&["--no-min-tokens"]), (None, max, Value::Null));
    assert_eq!(tokens(&["--ignore-eos"]), (min, max, json!(true)));
    let limits = ["--limit-min-tokens", "5", "--limit-max-tokens", "9"];
    assert_eq!(tokens(&limits), (Some(5), Some(9), Value::Null));
    let none = ["--limit-min-tokens", "-1", "--limit-max-tokens", "-1"];
    assert_eq!(tokens(&none), (None, None, Value::Null));
    assert_eq!(tokens(&["--limit-min-tokens", "-1"]), (None, max, Value::Null));
}

#[test]
fn extra_body_keys_and_conversation_ids_are_sent() {
    let case = Case::new(Behaviour::default());
    let extra = r#"{"temperature": 0.5, "max_tokens": 3, "chat_template_kwargs": {"x": true}}"#;
    let run = case.run(&["--extra-body", extra, "--send-conversation-id", "--header", "X-A=b"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let posts = case.stub.posts();
    let body = posts[0].json();
    assert_eq!(body["temperature"], 0.5);
    assert_eq!(body["max_tokens"], 3);
    assert_eq!(body["chat_template_kwargs"], json!({"x": true}));
    assert_eq!(body["conversation_id"], "a");
    assert_eq!(body["model"], "stub-model");
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
    let ids: Vec<Option<&str>> = posts.iter().map(|post| post.header("x-session-id")).collect();
    assert_eq!(ids, [Some("a"), Some("a"), Some("b"), Some("b")]);
    assert!(posts.iter().all(|post| post.header("x-a") == Some("b")), "{posts:?}");
    assert!(posts.iter().all(|post| post.header("authorization").is_none()));

    let case = Case::new(Behaviour::default());
    case.run(&["--api-key", "sesame"]);
    let seen = case.stub.seen();
    assert!(seen.iter().all(|seen| seen.header("authorization") == Some("Bearer sesame")));
    assert!(case.stub.posts().iter().all(|post| post.header("x-session-id").is_none()));
}

#[test]
fn plain_answers_are_asked_for_without_streams() {
    let case = Case::new(Behaviour::default());
    let run = case.run(&["--no-stream"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(case.stub.bodies().iter().all(|body| body.get("stream").is_none()));
    assert_eq!(case.finished(), 2);
    let usage = case.records()[0].usage.clone().unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(1), Some(10)));
}

#[test]
fn the_servers_usage_is_used() {
    let case = Case::new(Behaviour::always("cached"));
    let run = case.run(&["--stats-json-output", "stats.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let usage = case.records()[0].usage.clone().unwrap();
    assert_eq!((usage.prompt_tokens, usage.cached_tokens), (Some(100), Some(64)));
    let stats = case.json("stats.json");
    assert_eq!(stats[0]["output_num_tokens"], 7);
    assert_eq!(stats[0]["output_tokens_source"], "server");
    assert_eq!(stats[0]["cached_tokens"], 64);
    assert_eq!(case.report()["cache"]["cached_tokens"], 4 * 64);
}

#[test]
fn without_usage_the_tokenizer_counts_and_without_it_the_chunks() {
    let source = |args: &[&str]| {
        let case = Case::new(Behaviour::default());
        let run = case.run(&[args, &["--stats-json-output", "stats.json"]].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        case.json("stats.json")[0].clone()
    };
    let row = source(&[]);
    assert_eq!(row["output_tokens_source"], "tokenizer");
    let row = source(&["--tokenizer", "none", "--limit-min-tokens=-1", "--limit-max-tokens=-1"]);
    assert_eq!(row["output_tokens_source"], "chunks");
    assert_eq!(row["input_num_tokens"], Value::Null);
}

#[cfg(target_os = "linux")]
#[test]
fn kernel_stamps_are_taken() {
    let case = Case::new(Behaviour::default());
    case.run(&[]);
    for record in case.records() {
        let first = record.stamps.first_token.unwrap();
        assert_eq!(first.source, StampSource::Kernel);
        assert!(first.at_ns >= record.stamps.sent_ns.unwrap());
        assert!(record.stamps.end.unwrap().at_ns >= first.at_ns);
    }
}

#[test]
fn every_way_to_write_an_event_stream_is_read() {
    for name in [
        "comments",
        "event",
        "crlf",
        "nospace",
        "usage_chunk",
        "no_done",
        "role_null",
        "no_role",
        "empty_chunks",
        "multi",
        "single",
        "done_delay",
        "after_done",
    ] {
        let case = Case::new(Behaviour::always(name));
        let run = case.run(&[]);
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
        assert_eq!(case.failures(), [], "{name}");
        assert_eq!(case.finished(), 2, "{name}");
        let answer = &case.records()[0].answer.content;
        assert_eq!(answer, "Reply to turn 1: question 1 of a", "{name}");
    }
}

#[test]
fn seeds_up_to_64_bits_work() {
    for seed in ["4294967295", "4294967296", "9223372036854775808", "18446744073709551615"] {
        let case = Case::new(Behaviour::default());
        let sampling = ["--conversation-sampling", "random", "-k", "2", "--seed", seed];
        let run = case.run(&sampling);
        assert_eq!(run.code, Some(0), "{seed}: {}", run.stderr);
        assert_eq!(case.finished(), 2, "{seed}");
    }
}

#[test]
fn slashes_at_the_end_of_the_url_do_no_harm() {
    for end in ["/", "//", "/v1", "/v1/"] {
        let case = Case::new(Behaviour::default());
        let url = format!("{}{end}", case.stub.url());
        let run = case.run(&["--url", &url]);
        assert_eq!(run.code, Some(0), "{url}: {}", run.stderr);
        let paths: Vec<String> = case.stub.seen().into_iter().map(|seen| seen.path).collect();
        let expect = ["/version", "/v1/models", "/metrics", "/v1/chat/completions"];
        assert_eq!(paths[..4], expect, "{url}");
    }
}
