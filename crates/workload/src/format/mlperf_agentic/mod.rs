//! MLPerf's agentic data sets (mlcommons/endpoints of 2025, `examples/11_Edge_Agentic_Example`),
//! JSONL or a JSON list.
//!
//! One row is one message: `conversation_id`, `turn` (its place in the conversation, from 1),
//! `role`, and `content`, `tool_calls`, `reasoning_content` or, in rows of a tool,
//! `tool_results`: `[{"tool_call_id", "content"}]`. The first row of a conversation also has the
//! `system` prompt and the `tools`. `delay_seconds` is how long the tools ran.
//!
//! Kept: all of these. Each tool result becomes a message, and delays become the think time of
//! the request after them. Rows are put in the order of `turn`, and may stand anywhere in the file: it
//! is read through once before the first conversation is handed out, and each conversation's rows
//! again in its turn. Lost: other keys of a row, with a remark each, and tools that change within a
//! conversation (the first ones are sent).
//!
//! The accuracy and test sets beside it have rows of `{"text_input", "ref_output"}`: a question and
//! its answer.

mod rows;

use serde_json::Value;
use turnbench_model::{Conversation, Message};

use super::remarks::Remarks;
use super::row_groups::{RowGroup, RowGroups, id_of};
use super::{Format, Item, Peek, Reader, Row, Skipped, Source};
use crate::WorkloadError;

/// MLPerf's agentic data sets.
pub(super) const FORMAT: Format = Format {
    name: "mlperf-agentic",
    about: "MLPerf agentic rows: {\"conversation_id\", \"turn\", \"role\", …}, as JSONL or JSON",
    sniff,
    read,
};

const FLAT_KEYS: [&str; 3] = ["conversation_id", "turn", "role"];

/// Keys of trace rows, which may carry a `text_input` too.
const FOREIGN_KEYS: [&str; 7] =
    ["timestamp", "delay", "input_length", "output_length", "hash_ids", "session_id", "messages"];

fn sniff(peek: &Peek) -> bool {
    let is_foreign = FOREIGN_KEYS.iter().any(|key| peek.has_keys(&[key]));
    !is_foreign && (peek.has_keys(&FLAT_KEYS) || is_single(peek))
}

fn is_single(peek: &Peek) -> bool {
    peek.first().get("text_input").is_some_and(Value::is_string)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let mut remarks = Remarks::default();
    if is_single(source.peek()) {
        return Ok(Box::new(source.rows().map(move |row| single(&row?))));
    }
    let groups = RowGroups::new(source, FLAT_KEYS[0], |_| false);
    Ok(Box::new(groups.flat_map(move |group| match group {
        Ok(group) => items(&group, &mut remarks),
        Err(error) => vec![Err(error)],
    })))
}

fn items(group: &RowGroup, remarks: &mut Remarks) -> Vec<Result<Item, WorkloadError>> {
    let item = match rows::conversation(group, remarks) {
        Ok(conversation) => Item::Conversation(Box::new(conversation)),
        Err(skipped) => Item::Skipped(skipped),
    };
    remarks.take().into_iter().chain([item]).map(Ok).collect()
}

/// A question and its answer.
fn single(row: &Row) -> Result<Item, WorkloadError> {
    let value = row.value()?;
    let node = row.node(&value);
    let text = |key| {
        let text = node.key(key);
        text.string("a string").map_err(|error| Skipped::new("malformed text", error))
    };
    let conversation = || {
        let mut messages = vec![Message::new("user", text("text_input")?)];
        if node.key("ref_output").not_null().is_some() {
            messages.push(Message::new("assistant", text("ref_output")?));
        }
        let id = id_of(&value, "id").unwrap_or_else(|| format!("row-{}", row.index));
        Ok(Conversation::new(id, messages))
    };
    Ok(match conversation() {
        Ok(conversation) => Item::Conversation(Box::new(conversation)),
        Err(skipped) => Item::Skipped(skipped),
    })
}

#[cfg(test)]
mod tests;
