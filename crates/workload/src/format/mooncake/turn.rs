use serde_json::{Map, Value};
use turnbench_model::{Message, RecordedTurn};

use super::super::exchange::Exchange;
use super::super::trace::{count, hash_ids, lengths};
use super::super::units::millis;
use super::super::{Skipped, openai};
use crate::json_file::Node;

/// A row, read.
pub(super) struct Turn {
    pub(super) exchange: Exchange,
    pub(super) request: Map<String, Value>,
    /// Whether it has messages, and not lengths alone.
    pub(super) has_text: bool,
}

/// Reads a row.
pub(super) fn turn(row: &Node) -> Result<Turn, Skipped> {
    row.object().map_err(|error| Skipped::new("no object", error))?;
    let times = RecordedTurn {
        sent_at_ns: millis(&row.key("timestamp"))?,
        think_time_ns: millis(&row.key("delay"))?,
        model: row.key("model").value().and_then(Value::as_str).map(str::to_owned),
        ..RecordedTurn::default()
    };
    let mut request = extra(&row.key("extra"))?;
    let has = |key: &str| row.key(key).not_null().is_some();
    let (messages, recorded) = if has("messages") || has("text_input") {
        if let Some(tools) = openai::tools(&row.key("tools"))? {
            request.insert("tools".to_owned(), tools);
        }
        let whole = has("messages");
        let messages = if whole { messages(&row.key("messages"))? } else { vec![text_input(row)?] };
        let answer = count(&row.key("output_length"), "answer without tokens")?;
        let recorded = RecordedTurn { standalone: whole, ..times };
        (messages, answer.map_or(recorded.clone(), |tokens| recorded.with_answer_tokens(tokens)))
    } else if has("payload") {
        payload(&row.key("payload"), times, &mut request)?
    } else {
        let hash_ids = hash_ids(&row.key("hash_ids"))?;
        let lengths = lengths(&row.key("input_length"), &row.key("output_length"))?;
        let RecordedTurn { sent_at_ns, think_time_ns, model, .. } = times;
        (Vec::new(), RecordedTurn { sent_at_ns, think_time_ns, model, hash_ids, ..lengths })
    };
    let has_text = !messages.is_empty();
    let exchange = Exchange { messages, answer: None, recorded };
    Ok(Turn { exchange, request, has_text })
}

/// Whether a row has text, well-formed or not.
pub(super) fn has_text(row: &Node) -> bool {
    ["text_input", "messages", "payload"].iter().any(|key| row.key(key).not_null().is_some())
}

/// The messages of a request. Those that end with an answer are a log of what was said.
fn messages(node: &Node) -> Result<Vec<Message>, Skipped> {
    let messages = openai::messages(node)?;
    let last = node.items().into_iter().flatten().last();
    match last.filter(|_| messages.last().is_some_and(Message::is_assistant)) {
        None => Ok(messages),
        Some(last) => {
            let allowed = "the role of someone to be answered";
            let hint = Some("--input-format openai makes turns of the answers in a chat log");
            let error = last.key("role").refuse_with_hint(allowed, hint);
            Err(Skipped::new("messages that end with an answer", error))
        }
    }
}

fn text_input(row: &Node) -> Result<Message, Skipped> {
    let node = row.key("text_input");
    let text = node.string("a string").map_err(|error| Skipped::new("malformed text", error))?;
    Ok(Message::new("user", text))
}

fn extra(node: &Node) -> Result<Map<String, Value>, Skipped> {
    if node.not_null().is_none() {
        return Ok(Map::new());
    }
    node.object().cloned().map_err(|error| Skipped::new("malformed extra", error))
}

/// A request as it was sent. What the run sets itself is not taken from it.
fn payload(
    node: &Node,
    times: RecordedTurn,
    request: &mut Map<String, Value>,
) -> Result<(Vec<Message>, RecordedTurn), Skipped> {
    let object = node.object().map_err(|error| Skipped::new("malformed payload", error))?;
    let messages = openai::messages(&node.key("messages"))?;
    let cap = match openai::tokens(&node.key("max_completion_tokens"))? {
        Some(cap) => Some(cap),
        None => openai::tokens(&node.key("max_tokens"))?,
    };
    let model = node.key("model").value().and_then(Value::as_str).map(str::to_owned);
    let recorded = RecordedTurn {
        model: model.or(times.model),
        min_tokens: openai::tokens(&node.key("min_tokens"))?,
        max_tokens: cap,
        standalone: true,
        ..times
    };
    let others = object
        .iter()
        .filter(|(key, value)| openai::is_extra(key) && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()));
    // What `extra` says goes before.
    for (key, value) in others {
        request.entry(key).or_insert(value);
    }
    Ok((messages, recorded))
}
