use std::path::Path;

use serde_json::{Value, json};
use turnbench_model::Nanos;

use super::{Client, options, question, start};
use crate::ServerOptions;
use crate::engine::{TierKind, TierOptions};

/// A host and a disk for so many blocks, fast but for the host's latency of 20 ms.
fn tiered(host_blocks: u64, disk_blocks: u64) -> ServerOptions {
    let mut options = options();
    let bytes = options.engine.block_bytes();
    let tier = |kind, blocks| TierOptions::new(kind, blocks * bytes, 1e14);
    let latency = Nanos::from_millis(20);
    options.engine.tiers = vec![
        TierOptions { latency, ..tier(TierKind::Host, host_blocks) },
        tier(TierKind::Disk, disk_blocks),
    ];
    options
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same question twice, with the device's cache emptied in between; the second answer.
fn ask_again(client: &mut Client) -> Value {
    let more = json!({"max_tokens": 1, "return_cached_tokens_details": true});
    let messages = question(&" ab".repeat(200));
    client.chat(&messages, &more);
    assert_eq!(client.post("/reset_prefix_cache", &json!({})).head[0], "HTTP/1.1 200 OK");
    client.chat(&messages, &more)
}

#[test]
fn tokens_from_tiers_are_told_by_usage_details_metrics_and_truth() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let server = start(ServerOptions { truth: Some(path.clone()), ..tiered(8, 100) });
    let mut client = Client::connect(&server);
    let again = ask_again(&mut client);
    let prompt = again["usage"]["prompt_tokens"].as_u64().unwrap();
    let cached = (prompt - 1) / 16 * 16;
    assert!(cached > 10 * 16, "{cached}");
    assert_eq!(again["usage"]["prompt_tokens_details"]["cached_tokens"], cached);
    // The host kept the first eight blocks.
    let details = json!({
        "device": 0, "host": 128, "storage": cached - 128, "storage_backend": "disk",
    });
    assert_eq!(again["sglext"]["cached_tokens_details"], details);
    for (name, value) in [
        ("prefix_cache_queries_total", 2 * prompt),
        ("prefix_cache_hits_total", 0),
        ("external_prefix_cache_queries_total", 2 * prompt),
        ("external_prefix_cache_hits_total", cached),
        ("prompt_tokens_cached_total", cached),
        ("kv_offload_load_bytes_total", cached * 131_072),
        ("kv_offload_tiering_read_bytes_total", (cached - 128) * 131_072),
    ] {
        assert_eq!(client.metric(&format!("vllm:{name}")), value as f64, "{name}");
    }
    server.stop().unwrap();
    let truths = lines(&path);
    let [first, second, end] = &truths[..] else { panic!("{truths:?}") };
    let by_tier = json!({"device": 0, "host": 128, "disk": cached - 128});
    assert_eq!(second["cached_tokens_by_tier"], by_tier);
    assert_eq!(
        (&first["computed_tokens"], &second["computed_tokens"]),
        (&json!(prompt), &json!(prompt - cached))
    );
    assert_eq!(first["load_ns"], 0);
    let load_ns = second["load_ns"].as_u64().unwrap();
    assert!((20_000_000..20_100_000).contains(&load_ns), "{load_ns}");
    let at = |name: &str| second[name].as_u64().unwrap();
    assert!(at("first_token_due_unix_ns") - at("received_unix_ns") >= load_ns);
    let capacities = |tier: &Value| (tier["tier"].clone(), tier["capacity_blocks"].clone());
    let tiers = end["tiers"].as_array().unwrap();
    assert_eq!(
        tiers.iter().map(capacities).collect::<Vec<_>>(),
        [("device", 1023), ("host", 8), ("disk", 100)]
            .map(|(tier, blocks)| (json!(tier), json!(blocks)))
    );
    assert_eq!((&end["block_size"], &end["block_bytes"]), (&json!(16), &json!(2_097_152)));
    assert_eq!(tiers[2]["loaded_bytes"], (cached - 128) * 131_072);
}

#[test]
fn a_stream_tells_where_cached_tokens_were_before_usage() {
    let server = start(tiered(100, 100));
    let mut client = Client::connect(&server);
    let messages = question(&" ab".repeat(200));
    client.chat(&messages, &json!({"max_tokens": 1}));
    let body = json!({
        "messages": messages, "stream": true, "max_tokens": 1,
        "stream_options": {"include_usage": true}, "return_cached_tokens_details": true,
    });
    let chunks = client.post("/v1/chat/completions", &body).chunks;
    let events: Vec<Value> = chunks
        .iter()
        .filter_map(|chunk| serde_json::from_str(chunk.trim().strip_prefix("data: ")?).ok())
        .collect();
    let [.., details, usage] = &events[..] else { panic!("{chunks:?}") };
    let cached = &usage["usage"]["prompt_tokens_details"]["cached_tokens"];
    assert!(cached.as_u64().unwrap() > 100, "{usage}");
    assert_eq!((&details["choices"], &details["usage"]), (&json!([]), &Value::Null));
    let expect = json!({"device": cached, "host": 0, "storage": 0, "storage_backend": "disk"});
    assert_eq!(details["sglext"]["cached_tokens_details"], expect);
}

#[test]
fn without_tiers_a_request_that_asks_is_told_of_the_device_alone() {
    let server = start(options());
    let mut client = Client::connect(&server);
    let again = ask_again(&mut client);
    assert_eq!(again["sglext"], json!({"cached_tokens_details": {"device": 0, "host": 0}}));
    let plain = client.chat(&question("hi"), &json!({"max_tokens": 1}));
    assert_eq!(plain.get("sglext"), None);
    assert!(!client.get("/metrics").chunks.concat().contains("kv_offload"));
}

#[test]
fn a_server_that_lies_about_its_cache_lies_everywhere_but_in_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let truth = Some(path.clone());
    let server = start(ServerOptions { cached_factor: 0.5, truth, ..tiered(100, 100) });
    let mut client = Client::connect(&server);
    let again = ask_again(&mut client);
    let prompt = again["usage"]["prompt_tokens"].as_u64().unwrap();
    let cached = (prompt - 1) / 16 * 16;
    assert_eq!(again["usage"]["prompt_tokens_details"]["cached_tokens"], cached / 2);
    assert_eq!(again["sglext"]["cached_tokens_details"]["host"], cached / 2);
    for (name, value) in [
        ("external_prefix_cache_hits_total", cached / 2),
        ("prompt_tokens_cached_total", cached / 2),
        ("kv_offload_load_bytes_total", cached * 131_072 / 2),
        ("prompt_tokens_total", 2 * prompt),
    ] {
        assert_eq!(client.metric(&format!("vllm:{name}")), value as f64, "{name}");
    }
    server.stop().unwrap();
    let truths = lines(&path);
    assert_eq!(
        (&truths[1]["cached_tokens"], &truths[1]["cached_tokens_by_tier"]["host"]),
        (&json!(cached), &json!(cached))
    );
    assert_eq!(truths[2]["tiers"][1]["loaded_bytes"], cached * 131_072);
}
