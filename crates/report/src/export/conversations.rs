use serde_json::{Value, json};
use turnbench_model::python_json::to_python_json_indented;
use turnbench_model::{Conversation, Message};

use crate::ReportError;

/// `--output-file`: the conversations with the server's answers, as Python's
/// `json.dumps(conversations, indent=4)` writes them (ASCII, no line feed at the end).
///
/// First the finished ones, in order of completion, with exactly the keys that the reference
/// writes; then the unfinished ones with `"finished": false` (none in compatible mode). The file
/// can be read back as an input file.
///
/// # Errors
/// [`ReportError::Json`]; never in practice.
pub fn conversations_json(
    finished: &[Conversation],
    unfinished: &[Conversation],
) -> Result<String, ReportError> {
    let mut list = Vec::with_capacity(finished.len() + unfinished.len());
    for conversation in finished {
        list.push(entry(conversation)?);
    }
    for conversation in unfinished {
        let mut entry = entry(conversation)?;
        entry["finished"] = json!(false);
        list.push(entry);
    }
    Ok(to_python_json_indented(&Value::Array(list), 4))
}

fn entry(conversation: &Conversation) -> Result<Value, ReportError> {
    let messages: Result<Vec<Value>, _> = conversation.messages.iter().map(message).collect();
    Ok(json!({"id": conversation.id, "messages": messages?}))
}

fn message(message: &Message) -> Result<Value, ReportError> {
    serde_json::to_value(message)
        .map_err(|source| ReportError::Json { what: "conversations", source })
}
