use serde_json::json;

use super::{Client, options, question, start};

#[test]
fn a_second_turn_finds_the_first_one_and_its_answer_in_the_cache() {
    let server = start(options());
    let mut client = Client::connect(&server);
    let text = " ab cd ef gh".repeat(20);
    let more = json!({"max_tokens": 40, "ignore_eos": true});
    let first = client.chat(&question(&text), &more);
    let first_total = first["usage"]["total_tokens"].as_u64().unwrap();
    let details = &first["usage"]["prompt_tokens_details"];
    let first_prompt = first["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(details["cached_tokens"], 0);
    assert_eq!(details["created_cache_tokens"], first_prompt / 16 * 16);
    let messages = json!([
        {"role": "user", "content": text},
        first["choices"][0]["message"],
        {"role": "user", "content": "and then"},
    ]);
    let second = client.chat(&messages, &more);
    // All full blocks but for the last token, which was never computed.
    let cached = (first_total - 1) / 16 * 16;
    assert_eq!(second["usage"]["prompt_tokens_details"]["cached_tokens"], cached);
    assert_eq!(client.metric("vllm:prefix_cache_hits_total"), cached as f64);
    let prompts = first_prompt + second["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(client.metric("vllm:prompt_tokens_total"), prompts as f64);
    assert_eq!(client.metric("vllm:time_to_first_token_seconds_count"), 2.0);
    let success = "vllm:request_success_total{engine=\"0\",finished_reason=\"length\"";
    assert_eq!(client.metric(success), 2.0);
}

#[test]
fn a_reset_empties_the_cache() {
    let server = start(options());
    let mut client = Client::connect(&server);
    let messages = question(&" ab".repeat(100));
    let more = json!({"max_tokens": 1});
    let cached = |client: &mut Client| {
        let answer = client.chat(&messages, &more);
        answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached(&mut client), 0);
    assert!(cached(&mut client) > 0);
    assert_eq!(client.post("/reset_prefix_cache", &json!({})).head[0], "HTTP/1.1 200 OK");
    assert_eq!(cached(&mut client), 0);
}

#[test]
fn a_cache_in_use_is_not_reset() {
    let mut slow = options();
    slow.engine.decode_ns = 1_000_000;
    let server = start(slow);
    let mut client = Client::connect(&server);
    let more = json!({"messages": question("hi"), "max_tokens": 2000, "stream": true});
    client.send_post("/v1/chat/completions", "", &more);
    client.read_to(b"\"token_ids\":null");
    let mut other = Client::connect(&server);
    let refused = other.post("/reset_prefix_cache", &json!({}));
    assert_eq!(refused.head[0], "HTTP/1.1 409 Conflict");
    let body: serde_json::Value = serde_json::from_str(&refused.chunks[0]).unwrap();
    assert_eq!(body["error"]["code"], 409);
    drop(client);
    while other.metric("vllm:num_requests_running") > 0.0 {}
    assert_eq!(other.post("/reset_prefix_cache", &json!({})).head[0], "HTTP/1.1 200 OK");
}

#[test]
fn steps_are_counted_with_their_tokens() {
    let server = start(options());
    let mut client = Client::connect(&server);
    let more = json!({"max_tokens": 5, "ignore_eos": true});
    let mut computed = 0;
    for _ in 0..2 {
        let usage = client.chat(&question(&" ab".repeat(100)), &more)["usage"].clone();
        let cached = &usage["prompt_tokens_details"]["cached_tokens"];
        computed += usage["prompt_tokens"].as_u64().unwrap() - cached.as_u64().unwrap();
    }
    assert_eq!(client.metric("vllm:iteration_tokens_total_count"), 10.0);
    assert_eq!(client.metric("vllm:iteration_tokens_total_sum"), computed as f64 + 10.0);
}

#[test]
fn a_salt_separates_caches() {
    let server = start(options());
    let mut client = Client::connect(&server);
    let messages = question(&" ab".repeat(100));
    let cached = |client: &mut Client, salt: &str| {
        let answer = client.chat(&messages, &json!({"max_tokens": 1, "cache_salt": salt}));
        answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached(&mut client, "one"), 0);
    assert_eq!(cached(&mut client, "two"), 0);
    assert!(cached(&mut client, "one") > 0);
}
