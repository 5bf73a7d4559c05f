use serde_json::Value;
use turnbench_model::{Conversation, RecordedTurn};

use super::parents::turns_count;

/// Keys of a recorded request that are the run's matter, whatever a data set says of them.
const OF_THE_RUN: [&str; 6] = ["model", "messages", "prompt", "stream", "stream_options", "n"];

/// Caps of an answer's length.
const CAPS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// Takes the keys out of a conversation's request that must not be sent as they stand: lengths of
/// answers become those of its turns, where these have none of their own, and what is the run's
/// matter goes. The names of the latter.
pub(super) fn take_out(conversation: &mut Conversation) -> Vec<&'static str> {
    if conversation.request.is_empty() {
        return Vec::new();
    }
    let mut length = |key: &str| conversation.request.shift_remove(key).as_ref().and_then(tokens);
    let caps = CAPS.map(&mut length);
    let (cap, least) = (caps[0].or(caps[1]), length("min_tokens"));
    if cap.is_some() || least.is_some() {
        let turns = turns_count(conversation) as usize;
        conversation.recorded.resize_with(turns, RecordedTurn::default);
        for turn in &mut conversation.recorded {
            turn.max_tokens = turn.max_tokens.or(cap);
            let most = turn.max_tokens.unwrap_or(u32::MAX);
            turn.min_tokens = turn.min_tokens.or(least).map(|least| least.min(most));
        }
    }
    let taken = |key: &&str| conversation.request.shift_remove(*key).is_some();
    OF_THE_RUN.into_iter().filter(taken).collect()
}

fn tokens(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|tokens| u32::try_from(tokens).ok()).filter(|&tokens| tokens > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnbench_model::{Conversation, Message, RecordedTurn};

    use super::take_out;

    #[test]
    fn keys_of_the_run_go_and_lengths_become_the_turns() {
        let messages = ["user", "assistant", "user"].map(|role| Message::new(role, "x")).to_vec();
        let mut conversation = Conversation::new("c", messages);
        let request =
            json!({"stream": false, "n": 2, "max_tokens": 9, "min_tokens": 12, "top_k": 1});
        conversation.request = request.as_object().unwrap().clone();
        assert_eq!(take_out(&mut conversation), ["stream", "n"]);
        assert_eq!(json!(conversation.request), json!({"top_k": 1}));
        assert_eq!(conversation.recorded, vec![RecordedTurn::default().with_answer_tokens(9); 2]);
        assert!(take_out(&mut conversation).is_empty());
    }

    #[test]
    fn a_turn_keeps_a_length_of_its_own() {
        let messages = vec![Message::new("user", "x")];
        let recorded = vec![RecordedTurn::default().with_answer_tokens(7)];
        let mut conversation = Conversation { recorded, ..Conversation::new("c", messages) };
        conversation.request = json!({"max_completion_tokens": 3}).as_object().unwrap().clone();
        assert!(take_out(&mut conversation).is_empty());
        assert_eq!(conversation.recorded, [RecordedTurn::default().with_answer_tokens(7)]);
    }
}
