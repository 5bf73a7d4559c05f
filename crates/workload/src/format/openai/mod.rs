//! Chat requests as the OpenAI API spells them, and the data sets made after them.
//!
//! Rows of a JSON list or JSONL:
//! - `{"messages": [{"role", "content", …}], "tools"?, "id"?, "max_tokens"?, …}`, the rows that
//!   fine-tuning and evaluation sets consist of. The row is a conversation: each of its answers
//!   ends a turn. A log of chats with a `timestamp` is one of these if its messages end with
//!   answers, and else a trace of the `mooncake` format.
//! - `{"custom_id", "method", "url", "body": {"messages", …}}`, the rows of the OpenAI batch API.
//!   The row is one request, and what its messages hold of earlier answers is its history.
//! - LLaMA-Factory's layout (`data/v1_sft_demo.jsonl` of 0.9.5) of the first kind, in which the
//!   parts of a message are `{"type", "value"}`; see [`llama_factory`].
//!
//! Kept: the messages with all their keys (`null` is absent), keys of a request (`tools`,
//! `temperature`, …) for every request of the conversation, `model`, and `max_tokens` or
//! `max_completion_tokens` as a cap for every answer; the keys in `extra_body` count as the body's own.
//! Lost: keys that are none of a request, with
//! a remark each, and images that are named beside the messages.
//!
//! A row with an id and messages and nothing of a request is the `conversations` format's.

mod keys;
mod llama_factory;

use serde_json::Value;
use turnbench_model::{Content, Conversation, Message, RecordedTurn, TurnRules};

pub(crate) use keys::{is_extra, tokens, tools};

use super::chat_rows::{is_chat_log, is_from_value};
use super::exchange::{Exchange, conversation_of};
use super::remarks::Remarks;
use super::row_groups::id_of;
use super::{Format, Item, Peek, Reader, Row, Skipped, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// Chat requests as the OpenAI API spells them.
pub(super) const FORMAT: Format = Format {
    name: "openai",
    about: "{\"messages\", \"tools\", …} or batch API rows, as JSON or JSONL",
    sniff,
    read,
};

/// Keys of rows that are entries of a trace, or other formats' conversations.
const FOREIGN_KEYS: [&str; 7] = [
    "timestamp",
    "delay",
    "input_length",
    "output_length",
    "hash_ids",
    "conversations",
    "conversation",
];

/// Keys of these that logs of chats have, too.
const OF_LOGS: [&str; 2] = ["timestamp", "delay"];

/// Whether rows are `openai`'s and not the `conversations` format's.
pub(super) fn sniff(peek: &Peek) -> bool {
    // A time of day as text, as chat logs have it, makes no trace.
    let is_foreign = |value: &Value| value.is_number() || value.is_array();
    let is_log = is_chat_log(peek);
    let has_foreign = |row: &Value| {
        let mut keys = FOREIGN_KEYS.iter().filter(|key| !(is_log && OF_LOGS.contains(*key)));
        keys.any(|key| row.get(key).is_some_and(is_foreign))
    };
    if peek.rows().iter().any(has_foreign) {
        return false;
    }
    let has_messages = |row: &Value| {
        row.get("messages").is_some_and(|list| list.is_array() && !is_from_value(list))
    };
    let is_plain = |row: &Value| {
        has_messages(row)
            && (id_of(row, "id").is_none()
                || keys::REQUEST.iter().chain(&keys::OF_TURNS).any(|key| row.get(key).is_some()))
    };
    let is_batch = |row: &Value| {
        row.get("custom_id").is_some() && row.get("body").is_some_and(Value::is_object)
    };
    // A conversation whose id is no string is told so; one without an id may be a slip.
    is_batch(peek.first()) || has_messages(peek.first()) && peek.rows().iter().any(is_plain)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let mut remarks = Remarks::default();
    Ok(Box::new(source.rows().flat_map(move |row| match row {
        Ok(row) => items(&row, &mut remarks),
        Err(error) => vec![Err(error)],
    })))
}

/// What a row becomes: a conversation or a skip, and before it remarks on keys not met before.
fn items(row: &Row, remarks: &mut Remarks) -> Vec<Result<Item, WorkloadError>> {
    let value = match row.value() {
        Ok(value) => value,
        Err(error) => return vec![Err(error)],
    };
    let item = match conversation(&row.node(&value), row.index, remarks) {
        Ok(conversation) => Item::Conversation(Box::new(conversation)),
        Err(skipped) => Item::Skipped(skipped),
    };
    remarks.take().into_iter().chain([item]).map(Ok).collect()
}

fn conversation(row: &Node, index: u64, remarks: &mut Remarks) -> Result<Conversation, Skipped> {
    let value = row.value().unwrap_or(&Value::Null);
    row.object().map_err(|error| Skipped::new("no object", error))?;
    let batch = row.key("body").value().is_some_and(Value::is_object);
    let (body, id) = if batch {
        (row.key("body"), id_of(value, "custom_id"))
    } else {
        (row.clone(), id_of(value, "id"))
    };
    let id = id.unwrap_or_else(|| format!("row-{index}"));
    let messages = messages(&body.key("messages"))?;
    let recorded = recorded(&body)?;
    let request = keys::request(&body, batch, remarks)?;
    let conversation = if batch {
        conversation_of(id, [Exchange { messages, answer: None, recorded }])
    } else {
        let mut conversation = Conversation::new(id, messages);
        if recorded != RecordedTurn::default() {
            let turns = conversation.turns(TurnRules::default()).len();
            conversation.recorded = vec![recorded; turns];
        }
        conversation
    };
    let conversation = Conversation { request, ..conversation };
    if conversation.turns(TurnRules::default()).is_empty() {
        let error = body.key("messages").refuse("a list with a message to answer");
        return Err(Skipped::new("no message to answer", error));
    }
    Ok(conversation)
}

/// The messages of a row, in whichever layout.
pub(crate) fn messages(node: &Node) -> Result<Vec<Message>, Skipped> {
    const ALLOWED: &str = "a list with one message at least";
    let none = || Skipped::new("no messages", node.refuse(ALLOWED));
    let nodes: Vec<Node> = node.items().ok_or_else(none)?.collect();
    if nodes.is_empty() {
        return Err(none());
    }
    if nodes.iter().any(llama_factory::is_message) {
        return llama_factory::messages(&nodes);
    }
    nodes.iter().map(message).collect()
}

/// A message as the API spells it.
fn message(node: &Node) -> Result<Message, Skipped> {
    let mut message =
        super::message(node).map_err(|error| Skipped::new("malformed message", error))?;
    check_role(node)?;
    message.extra.retain(|_, value| !value.is_null());
    if message.content == Content::Null && !may_lack_content(&message) {
        let error = node.key("content").refuse("a string or a list of parts");
        return Err(Skipped::new("message without content", error));
    }
    if let Content::Parts(parts) = &message.content
        && !parts.iter().all(|part| part.is_object() || part.is_string())
    {
        let error = node.key("content").refuse("a list of objects");
        return Err(Skipped::new("malformed message", error));
    }
    Ok(message)
}

/// Refuses roles that chat templates do not know.
fn check_role(node: &Node) -> Result<(), Skipped> {
    const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];
    let role = node.key("role");
    if role.value().and_then(Value::as_str).is_some_and(|role| ROLES.contains(&role)) {
        return Ok(());
    }
    let error = role.refuse("system, developer, user, assistant, tool or function");
    Err(Skipped::new("unknown role", error))
}

/// An answer may consist of something else than content.
fn may_lack_content(message: &Message) -> bool {
    const INSTEAD: [&str; 6] =
        ["tool_calls", "function_call", "reasoning_content", "reasoning", "refusal", "audio"];
    message.is_assistant() && INSTEAD.iter().any(|key| message.extra.contains_key(*key))
}

/// What a row says of each of its answers. What is in `extra_body` goes before, as in the body that
/// OpenAI's client makes of it.
fn recorded(body: &Node) -> Result<RecordedTurn, Skipped> {
    let extra = body.key("extra_body");
    let stated = |keys: &[&str]| {
        let mut nodes = keys.iter().flat_map(|key| [extra.key(key), body.key(key)]);
        nodes.find(|node| node.not_null().is_some())
    };
    let tokens = |keys: &[&str]| stated(keys).map_or(Ok(None), |node| keys::tokens(&node));
    let model = stated(&["model"]);
    Ok(RecordedTurn {
        model: model.and_then(|it| it.value()?.as_str().map(str::to_owned)),
        min_tokens: tokens(&["min_tokens"])?,
        max_tokens: tokens(&["max_completion_tokens", "max_tokens"])?,
        ..RecordedTurn::default()
    })
}

#[cfg(test)]
mod tests;
