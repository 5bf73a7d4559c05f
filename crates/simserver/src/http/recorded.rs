//! Encoders against recorded bytes: the same facts must give the same bytes.

use std::sync::Arc;

use serde_json::Value;

use super::answer::{Api, CacheUsage, Finished, Meta, RequestMetrics, Usage};
use super::events::{DONE, EventEncoder};
use super::request::{ChatRequest, CompletionRequest, Sampling};
use crate::engine::FinishReason;
use crate::recordings::Recording;

fn api(recording: &Recording) -> Api {
    match recording.request["path"].as_str() {
        Some("/v1/chat/completions") => Api::Chat,
        _ => Api::Completion,
    }
}

fn sampling(recording: &Recording) -> Sampling {
    let body = &recording.request["body"];
    match api(recording) {
        Api::Chat => ChatRequest::parse(body, 2048).unwrap().sampling,
        Api::Completion => CompletionRequest::parse(body, 2048, 8192).unwrap().sampling,
    }
}

fn meta(answer: &Value, fingerprint: &str) -> Meta {
    Meta {
        id: answer["id"].as_str().unwrap().to_owned(),
        created: answer["created"].as_u64().unwrap(),
        model: Arc::from(answer["model"].as_str().unwrap()),
        fingerprint: Arc::from(fingerprint),
    }
}

fn reason(choice: &Value) -> Option<FinishReason> {
    choice["finish_reason"].as_str().map(|reason| match reason {
        "length" => FinishReason::Length,
        "stop" => FinishReason::Stop,
        other => panic!("{other}"),
    })
}

fn usage(usage: &Value) -> Usage {
    let count = |name: &str| usage[name].as_u64().unwrap() as u32;
    let details = &usage["prompt_tokens_details"];
    Usage {
        prompt_tokens: count("prompt_tokens"),
        completion_tokens: count("completion_tokens"),
        cache: details["cached_tokens"].as_u64().map(|cached| CacheUsage {
            cached: cached as u32,
            created: details["created_cache_tokens"].as_u64().map(|created| created as u32),
        }),
    }
}

fn times(metrics: &Value) -> Option<RequestMetrics> {
    let time = |name: &str| metrics[name].as_f64();
    Some(RequestMetrics {
        time_to_first_token_ms: time("time_to_first_token_ms")?,
        generation_time_ms: time("generation_time_ms")?,
        queue_time_ms: time("queue_time_ms")?,
        mean_itl_ms: time("mean_itl_ms"),
        tokens_per_second: time("tokens_per_second")?,
    })
}

fn ids(list: &Value) -> Vec<u32> {
    list.as_array().into_iter().flatten().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn check_whole(name: &str) {
    let recording = Recording::load(name);
    let recorded = &recording.parts().chunks[0];
    let answer: Value = serde_json::from_str(recorded).unwrap();
    let api = api(&recording);
    let choice = &answer["choices"][0];
    let (text, prompt) = match api {
        Api::Chat => (&choice["message"]["content"], ids(&answer["prompt_token_ids"])),
        Api::Completion => (&choice["text"], ids(&choice["prompt_token_ids"])),
    };
    let token_ids = ids(&choice["token_ids"]);
    let finished = Finished {
        text: text.as_str().unwrap(),
        reason: reason(choice).unwrap(),
        usage: usage(&answer["usage"]),
        cached_details: None,
        ids: sampling(&recording).return_token_ids.then_some((&prompt, &token_ids)),
        metrics: times(&answer["metrics"]),
    };
    let meta = meta(&answer, answer["system_fingerprint"].as_str().unwrap());
    assert_eq!(&api.whole(&meta, &finished), recorded, "{name}");
}

#[test]
fn plain_answers_are_the_recorded_bytes() {
    for name in [
        "basic/chat_plain",
        "basic/chat_return_token_ids",
        "basic/chat_long_again_nostream",
        "basic/chat_max_completion_tokens",
        "basic/chat_request_id_hdr",
        "basic/comp_text",
        "basic/comp_ids",
        "auth/plain_chat",
        "auth/plain_request_id",
        "permetrics/pm_chat",
        "permetrics/pm_comp",
        "permetrics/pm_max1",
    ] {
        check_whole(name);
    }
}

fn check_stream(name: &str) {
    let recording = Recording::load(name);
    let recorded = recording.parts();
    let events: Vec<Value> =
        (0..recorded.chunks.len() - 1).map(|index| recorded.event(index)).collect();
    let (api, sampling) = (api(&recording), sampling(&recording));
    let fingerprint = events.iter().find_map(|event| event["system_fingerprint"].as_str()).unwrap();
    let parts = events.iter().filter(|event| {
        let choice = &event["choices"][0];
        !choice.is_null() && choice["delta"]["role"].is_null()
    });
    let last = events.last().unwrap();
    let prompt: Arc<[u32]> = match (sampling.return_token_ids, api) {
        (true, Api::Chat) => ids(&events[0]["prompt_token_ids"]).into(),
        (true, Api::Completion) => ids(&events[0]["choices"][0]["prompt_token_ids"]).into(),
        // Only their number counts, in running usage.
        (false, _) => vec![0; last["usage"]["prompt_tokens"].as_u64().unwrap_or(0) as usize].into(),
    };
    let meta = meta(&events[0], fingerprint);
    let flags = sampling.stream.unwrap();
    let mut encoder = EventEncoder::new(api, meta, flags, prompt, sampling.return_token_ids);
    let mut encoded: Vec<String> = encoder.opening().into_iter().collect();
    for event in parts {
        let choice = &event["choices"][0];
        let text = match api {
            Api::Chat => &choice["delta"]["content"],
            Api::Completion => &choice["text"],
        };
        // A busy server joins tokens: where ids are not shown, one token stands for all of them.
        let token_ids = if sampling.return_token_ids { ids(&choice["token_ids"]) } else { vec![0] };
        encoded.push(encoder.part(text.as_str().unwrap(), &token_ids, reason(choice)));
    }
    if !last["usage"].is_null() && last["choices"][0].is_null() {
        let times = times(&last["metrics"]);
        encoded.extend(encoder.usage(&usage(&last["usage"]), times.as_ref()));
    }
    encoded.push(DONE.to_owned());
    assert_eq!(encoded, recorded.chunks, "{name}");
}

#[test]
fn streamed_events_are_the_recorded_bytes() {
    for name in [
        "basic/chat_stream",
        "basic/chat_stream_usage",
        "basic/chat_stream_usage_continuous",
        "basic/chat_stream_continuous_only",
        "basic/chat_max_tokens_1_stream",
        "basic/chat_min_max_ignore_eos",
        "basic/chat_return_token_ids_stream",
        "basic/chat_request_id_hdr_stream",
        "basic/chat_long_again",
        "basic/chat_conn_close",
        "basic/comp_ids_stream",
        "basic/comp_ids_stream_tokens",
        "auth/plain_chat_long_0",
        "auth/plain_comp_stream",
        "permetrics/pm_chat_stream_usage",
        "permetrics/pm_comp_stream",
    ] {
        check_stream(name);
    }
}

/// Names and labels of all samples of a family, without their values.
fn samples<'a>(text: &'a str, family: &str) -> Vec<&'a str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let of_family = lines.filter(|line| {
        let rest = line.strip_prefix("vllm:").and_then(|line| line.strip_prefix(family));
        rest.is_some_and(|rest| rest.starts_with(['{', '_']))
    });
    of_family.filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name).collect()
}

#[test]
fn metrics_have_the_recorded_names_labels_and_bounds() {
    use crate::engine::{EngineOptions, EngineStats};
    use crate::telemetry::{Snapshot, Telemetry};

    let recorded = String::from_utf8(crate::recordings::read("metrics.txt")).unwrap();
    let snapshot = Snapshot {
        options: EngineOptions::default(),
        stats: EngineStats::default(),
        tiers: Vec::new(),
        telemetry: Telemetry::new(2048),
    };
    let text = super::metrics::render(&snapshot, "lab", 1.5e9);
    let types = |text: &str| {
        let lines = text.lines().filter(|line| line.starts_with("# TYPE vllm:"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let known = types(&recorded);
    // In the recorded order, and nothing that is not recorded.
    let mut rest = known.iter();
    for family in types(&text) {
        assert!(rest.any(|known| *known == family), "{family}");
        let name = family.split(' ').nth(2).unwrap().strip_prefix("vllm:").unwrap();
        if name != "cache_config_info" {
            assert_eq!(samples(&text, name), samples(&recorded, name), "{name}");
        }
    }
    assert_eq!(types(&text).len(), 60);
}
