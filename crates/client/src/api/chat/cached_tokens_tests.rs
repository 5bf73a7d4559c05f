use serde_json::{Value, json};
use turnbench_model::{CachedByTier, CachedSource, Usage};

use super::tests::response;
use super::{decode, decode_in_full};

/// The usage of a stream of one text, these events and `[DONE]`.
fn usage(events: &[Value]) -> Option<Usage> {
    let text = json!({"choices": [{"index": 0, "delta": {"content": "a"}}]});
    let stop = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let events = [&text, &stop].into_iter().chain(events);
    let mut pieces: Vec<String> = events.map(|event| format!("data: {event}\n\n")).collect();
    pieces.push("data: [DONE]\n\n".to_owned());
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let raw = response(&pieces);
    let decoded = decode(&raw, true);
    assert_eq!(decoded, decode_in_full(&raw, true));
    assert!(decoded.outcome.is_completed(), "{:?}", decoded.outcome);
    decoded.usage
}

fn reported(cached: Option<u64>) -> Value {
    let details = cached.map(|cached| json!({"cached_tokens": cached}));
    json!({"choices": [], "usage": {"prompt_tokens": 60, "completion_tokens": 1,
                                    "prompt_tokens_details": details}})
}

fn tiers(details: &Value) -> Value {
    json!({"choices": [], "usage": null, "sglext": {"cached_tokens_details": details}})
}

#[test]
fn tiers_of_cached_tokens_stand_beside_their_sum() {
    // SGLang 0.5.23 sends them before the usage.
    let details = json!({"device": 32, "host": 16, "storage": 8, "storage_backend": "HiCacheFile"});
    let found = usage(&[tiers(&details), reported(Some(56))]).unwrap();
    let expect = CachedByTier {
        device: Some(32),
        host: Some(16),
        storage: Some(8),
        storage_backend: Some("HiCacheFile".to_owned()),
    };
    assert_eq!((found.cached_by_tier, found.cached_tokens), (Some(expect), Some(56)));
    assert_eq!(found.cached_source, None);
}

#[test]
fn tiers_are_added_up_where_there_is_no_sum() {
    let found = usage(&[tiers(&json!({"device": 32, "host": 16})), reported(None)]).unwrap();
    assert_eq!((found.cached_tokens, found.cached_source), (Some(48), Some(CachedSource::Tiers)));
    assert_eq!(found.cached_by_tier.unwrap().storage, None);
}

#[test]
fn llama_timings_tell_the_cached_tokens_where_the_usage_does_not() {
    let timings =
        json!({"choices": [], "timings": {"cache_n": 19, "prompt_n": 1, "prompt_ms": 0.3}});
    let found = usage(&[timings.clone(), reported(None)]).unwrap();
    let source = Some(CachedSource::LlamaTimings);
    assert_eq!((found.cached_tokens, found.cached_source), (Some(19), source));
    let found = usage(&[timings, reported(Some(7))]).unwrap();
    assert_eq!((found.cached_tokens, found.cached_source), (Some(7), None));
}

#[test]
fn details_of_another_form_are_not_reported() {
    for details in [json!(null), json!(7), json!({"device": "many"}), json!([1])] {
        let found = usage(&[tiers(&details), reported(Some(7))]).unwrap();
        assert_eq!((found.cached_tokens, found.cached_by_tier), (Some(7), None));
    }
    for extension in [json!(null), json!(1), json!({"other": 1})] {
        let event = json!({"choices": [], "sglext": extension, "timings": extension});
        assert_eq!(usage(&[event, reported(None)]).unwrap().cached_tokens, None);
    }
}
