use std::io::Write;

use serde_json::{Value, json};
use turnbench_model::Conversation;

use super::list::{JsonList, to_value};
use crate::ReportError;

/// `--output-file`: the conversations with the server's answers, as Python's
/// `json.dumps(conversations, indent=4)` writes them (ASCII, no line feed at the end), one after
/// another, so that none has to be held.
///
/// First the finished ones, in order of completion, with exactly the keys that the reference
/// writes; then the unfinished ones with `"finished": false` (none in compatible mode). The file
/// can be read back as an input file.
#[derive(Debug)]
pub struct ConversationsJson<W>(JsonList<W>);

impl<W: Write> ConversationsJson<W> {
    /// An empty list, to be written to `out`.
    pub fn new(out: W) -> Self {
        Self(JsonList::new(out, 4))
    }

    /// Writes a conversation that reached its end.
    ///
    /// # Errors
    /// [`ReportError::Write`].
    pub fn finished(&mut self, conversation: &Conversation) -> Result<(), ReportError> {
        Ok(self.0.push(entry(conversation)?)?)
    }

    /// Writes a conversation that did not.
    ///
    /// # Errors
    /// [`ReportError::Write`].
    pub fn unfinished(&mut self, conversation: &Conversation) -> Result<(), ReportError> {
        let mut entry = entry(conversation)?;
        entry["finished"] = json!(false);
        Ok(self.0.push(entry)?)
    }

    /// Closes the list.
    ///
    /// # Errors
    /// [`ReportError::Write`].
    pub fn end(self) -> Result<(), ReportError> {
        Ok(self.0.end()?)
    }
}

fn entry(conversation: &Conversation) -> Result<Value, ReportError> {
    let messages = to_value(&conversation.messages, "conversations")?;
    Ok(json!({"id": conversation.id, "messages": messages}))
}
