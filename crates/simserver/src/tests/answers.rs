use serde_json::{Value, json};

use super::{Client, options, question, start};
use crate::ServerOptions;

fn stream_text(client: &mut Client, more: &Value) -> (Vec<String>, String) {
    let mut body = json!({"messages": question("say it"), "stream": true});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let parts = client.post("/v1/chat/completions", &body);
    let texts: Vec<String> = (0..parts.chunks.len() - 1)
        .filter_map(|index| {
            let event = parts.event(index);
            let delta = &event["choices"][0]["delta"];
            delta["role"].is_null().then(|| delta["content"].as_str().unwrap_or("").to_owned())
        })
        .collect();
    let whole = texts.concat();
    (texts, whole)
}

#[test]
fn an_event_carries_as_many_tokens_as_asked() {
    let whole = |tokens_per_chunk, lengths: &[usize]| {
        let server = start(ServerOptions { tokens_per_chunk, ..options() });
        let mut client = Client::connect(&server);
        let more = json!({"max_tokens": 7, "ignore_eos": true});
        let (texts, whole) = stream_text(&mut client, &more);
        let words = texts.iter().map(|text| text.split_whitespace().count());
        assert_eq!(words.collect::<Vec<_>>(), lengths);
        whole
    };
    assert_eq!(whole(1, &[1; 7]), whole(3, &[3, 3, 1]));
}

#[test]
fn streamed_and_plain_answers_are_the_same() {
    let server = start(options());
    let mut client = Client::connect(&server);
    let more = json!({"max_tokens": 20, "min_tokens": 20});
    let (_, streamed) = stream_text(&mut client, &more);
    let plain = client.chat(&question("say it"), &more);
    assert_eq!(plain["choices"][0]["message"]["content"], streamed);
    assert_eq!(plain["usage"]["completion_tokens"], 20);
}

#[test]
fn the_seed_decides_the_answer() {
    let answer = |seed, request_seed: Value| {
        let server = start(ServerOptions { seed, ..options() });
        let more = json!({"max_tokens": 8, "ignore_eos": true, "seed": request_seed});
        Client::connect(&server).chat(&question("hi"), &more)["choices"][0]["message"].clone()
    };
    assert_eq!(answer(1, Value::Null), answer(1, Value::Null));
    assert_ne!(answer(1, Value::Null), answer(2, Value::Null));
    assert_ne!(answer(1, Value::Null), answer(1, json!(5)));
}

#[test]
fn without_a_limit_the_answer_ends_by_itself() {
    let server =
        start(ServerOptions { answer_tokens_mean: 12.0, answer_tokens_sigma: 0.0, ..options() });
    let mut client = Client::connect(&server);
    let answer = client.chat(&question("hi"), &json!({}));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["completion_tokens"], 12);
    let answer = client.chat(&question("hi"), &json!({"max_tokens": 5}));
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 5);
}

#[test]
fn an_answer_is_shortened_to_the_models_length() {
    let server = start(options());
    let mut client = Client::connect(&server);
    let more = json!({"max_tokens": 2040, "ignore_eos": true});
    let answer = client.chat(&question("a longer question than eight tokens"), &more);
    assert_eq!(answer["usage"]["total_tokens"], 2048);
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
}

#[test]
fn completions_take_ids_and_give_them_back() {
    let server = start(options());
    let mut client = Client::connect(&server);
    let body = json!({
        "prompt": [65, 66, 67], "max_tokens": 4, "ignore_eos": true, "return_token_ids": true,
    });
    let parts = client.post("/v1/completions", &body);
    let answer: Value = serde_json::from_str(&parts.chunks[0]).unwrap();
    let choice = &answer["choices"][0];
    assert_eq!(choice["prompt_token_ids"], json!([65, 66, 67]));
    let body = json!({"tokens": choice["token_ids"]});
    let text: Value = serde_json::from_str(&client.post("/detokenize", &body).chunks[0]).unwrap();
    assert_eq!(text["prompt"], choice["text"]);
}

#[test]
fn several_clients_are_answered_at_once() {
    let server = start(options());
    let mut clients: Vec<Client> = (0..40).map(|_| Client::connect(&server)).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        let body = json!({
            "messages": question(&format!("question {index}")), "stream": true,
            "max_tokens": 30, "ignore_eos": true, "stream_options": {"include_usage": true},
        });
        client.send_post("/v1/chat/completions", "", &body);
    }
    for client in &mut clients {
        let parts = client.response(false);
        assert_eq!(parts.chunks.len(), 30 + 3);
        assert_eq!(parts.event(31)["usage"]["completion_tokens"], 30);
    }
}

#[test]
fn a_port_in_use_is_named() {
    use std::sync::Arc;
    let server = start(options());
    let clock = Arc::new(turnbench_model::MonotonicClock::start());
    let tokenizer = Arc::new(crate::words::WordTokenizer::new());
    let error = crate::Server::bind(server.local_addr(), options(), tokenizer, None, clock);
    let text = error.unwrap_err().to_string();
    assert!(text.starts_with(&format!("{} is in use\nhint: ", server.local_addr())), "{text}");
    server.stop().unwrap();
}
