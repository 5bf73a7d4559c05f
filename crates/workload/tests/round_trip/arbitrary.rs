//! Conversations of every kind that the model allows.

use proptest::prelude::*;
use serde_json::{Map, Value};
use turnbench_model::{Content, Conversation, Message, Nanos, Parent, RecordedTurn, TurnRules};

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::Object),
        ]
    })
}

fn object(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((text(), values), 0..3).prop_map(|pairs| pairs.into_iter().collect())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::sample::select(
            &["", "\0", "\u{feff}x", "\u{2028}", "\\ud800", "é\u{7f}🙂\r\n\"\\", "\u{fffd}"][..]
        )
        .prop_map(str::to_owned),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let role = prop::sample::select(&["system", "user", "user", "assistant", "tool", "é"][..]);
    let content = prop_oneof![
        text().prop_map(Content::Text),
        prop::collection::vec(json_value(), 0..3).prop_map(Content::Parts),
        Just(Content::Null),
    ];
    (role, content, object(json_value())).prop_map(|(role, content, mut extra)| {
        extra.retain(|key, _| key != "role" && key != "content");
        Message { role: role.to_owned(), content, extra }
    })
}

fn recorded_turn() -> impl Strategy<Value = RecordedTurn> {
    let nanos = || prop::option::of(any::<u64>().prop_map(Nanos));
    let tokens = || prop::option::of(any::<u32>());
    (
        (nanos(), nanos(), nanos(), nanos()),
        prop::option::of(text()),
        (tokens(), tokens(), tokens()),
        prop::collection::vec(any::<u64>(), 0..3),
        any::<bool>(),
        prop::option::weighted(0.2, 0_u32..4),
    )
        .prop_map(|(times, model, tokens, hash_ids, standalone, messages_count)| {
            RecordedTurn {
                sent_at_ns: times.0,
                think_time_ns: times.1,
                latency_ns: times.2,
                ttft_ns: times.3,
                model,
                prompt_tokens: tokens.0,
                min_tokens: tokens.1,
                max_tokens: tokens.2,
                hash_ids,
                standalone,
                messages_count,
            }
        })
}

pub(crate) fn conversation() -> impl Strategy<Value = Conversation> {
    let parent = (text(), any::<u32>(), prop::option::of(any::<u32>()))
        .prop_map(|(id, after_turn, before_turn)| Parent { id, after_turn, before_turn });
    (
        text(),
        prop::collection::vec(message(), 1..5),
        object(json_value()),
        prop::collection::vec(recorded_turn(), 0..4),
        prop::option::of(1..=u32::MAX),
        prop::option::of(parent),
    )
        .prop_map(|(id, messages, request, recorded, hash_block_size, parent)| {
            let mut one = Conversation { id, messages, request, recorded, hash_block_size, parent };
            // Something is known of each turn or of none.
            if !one.recorded.is_empty() {
                let turns = one.turns(TurnRules::default()).len();
                one.recorded.resize(turns, RecordedTurn::default());
            }
            one
        })
}
