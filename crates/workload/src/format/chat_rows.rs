use serde_json::Value;

use super::Peek;

/// Whether the first rows have messages that end with an answer, and no lengths: a log of chats,
/// whatever times it has, and no requests.
pub(crate) fn is_chat_log(peek: &Peek) -> bool {
    const LENGTHS: [&str; 3] = ["input_length", "output_length", "hash_ids"];
    let is_answered = |messages: &Vec<Value>| {
        messages.last().is_some_and(|last| last.get("role").is_some_and(|role| role == "assistant"))
    };
    let mut lists = whole_rows(peek).iter().filter_map(|row| row.get("messages")?.as_array());
    let first = lists.next().is_some_and(is_answered);
    first && lists.all(is_answered) && !LENGTHS.iter().any(|key| peek.has_keys(&[key]))
}

/// The first rows without the last of several, which may be cut off.
pub(crate) fn whole_rows(peek: &Peek) -> &[Value] {
    let rows = peek.rows();
    &rows[..rows.len().saturating_sub(1).max(1).min(rows.len())]
}

/// Whether an item's list is of from/value entries, so that it is no chat request.
pub(crate) fn is_from_value(list: &Value) -> bool {
    let first = list.as_array().and_then(|entries| entries.first());
    first.is_some_and(|entry| entry.get("from").is_some() && entry.get("role").is_none())
}
