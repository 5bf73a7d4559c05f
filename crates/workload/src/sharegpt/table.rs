use rayon::prelude::*;
use turnbench_model::{Conversation, Tokenizer};

use super::message::{Message, characters};
use crate::WorkloadError;

/// Numbers of each conversation, as the reference's statistics have them. Words are spaces plus
/// one for each message; characters are code points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversationTable {
    rows: Vec<TableRow>,
}

/// One conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct TableRow {
    pub(super) user: Side,
    pub(super) assistant: Side,
    /// Messages of all roles, and their characters.
    pub(super) messages: u32,
    pub(super) characters: u64,
}

/// What the messages of one role have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Side {
    pub(super) turns: u32,
    pub(super) words: u64,
    /// Tokens of all its messages, where they were counted.
    pub(super) tokens: Option<u64>,
}

impl TableRow {
    /// Counts what the messages have; users and assistants take turns.
    pub(super) fn of(
        messages: &[Message],
        tokenizer: Option<&dyn Tokenizer>,
    ) -> Result<Self, WorkloadError> {
        let mut row = Self::default();
        for (index, message) in messages.iter().enumerate() {
            let role = if index % 2 == 0 { "user" } else { "assistant" };
            row.add(role, &message.text, tokenizer)?;
        }
        Ok(row)
    }

    /// Counts what the messages of any conversation have.
    fn of_conversation(
        conversation: &Conversation,
        tokenizer: Option<&dyn Tokenizer>,
    ) -> Result<Self, WorkloadError> {
        let mut row = Self::default();
        for message in &conversation.messages {
            row.add(&message.role, message.content.text().as_bytes(), tokenizer)?;
        }
        Ok(row)
    }

    fn add(
        &mut self,
        role: &str,
        text: &[u8],
        tokenizer: Option<&dyn Tokenizer>,
    ) -> Result<(), WorkloadError> {
        self.messages += 1;
        self.characters += characters(text);
        let side = match role {
            "user" => &mut self.user,
            "assistant" => &mut self.assistant,
            _ => return Ok(()),
        };
        side.turns += 1;
        side.words += memchr::memchr_iter(b' ', text).count() as u64 + 1;
        if let Some(tokenizer) = tokenizer {
            let count = tokenizer.count(&String::from_utf8_lossy(text))?;
            *side.tokens.get_or_insert(0) += count + tokenizer.special_tokens_count();
        }
        Ok(())
    }
}

impl Side {
    /// The mean, cut to a whole number.
    fn mean_tokens(self) -> Option<f64> {
        Some(self.tokens?.checked_div(self.turns.into())? as f64)
    }
}

impl ConversationTable {
    pub(super) fn push(&mut self, row: TableRow) {
        self.rows.push(row);
    }

    /// Counts what conversations have, in parallel; with a tokenizer also their tokens, special
    /// tokens included. Roles other than user and assistant count as messages and characters alone.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn extend(
        &mut self,
        conversations: &[Conversation],
        tokenizer: Option<&dyn Tokenizer>,
    ) -> Result<(), WorkloadError> {
        let row = |conversation| TableRow::of_conversation(conversation, tokenizer);
        let rows = conversations.par_iter().map(row).collect::<Result<Vec<_>, _>>()?;
        self.rows.extend(rows);
        Ok(())
    }

    /// Number of conversations.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no conversation.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The columns with their names; token columns only where tokens were counted.
    pub fn columns(&self) -> Vec<(&'static str, Vec<Option<f64>>)> {
        type Cell = fn(&TableRow) -> Option<f64>;
        let columns: [(&str, Cell); 9] = [
            ("user_turns", |row| Some(row.user.turns.into())),
            ("assistant_turns", |row| Some(row.assistant.turns.into())),
            ("user_words", |row| Some(row.user.words as f64)),
            ("assistant_words", |row| Some(row.assistant.words as f64)),
            ("conv_turns", |row| Some(row.messages.into())),
            ("conv_words", |row| Some((row.user.words + row.assistant.words) as f64)),
            ("conv_characters", |row| Some(row.characters as f64)),
            ("user_tokens", |row| row.user.mean_tokens()),
            ("assistant_tokens", |row| row.assistant.mean_tokens()),
        ];
        let column = |(name, cell): (&'static str, Cell)| {
            (name, self.rows.iter().map(cell).collect::<Vec<_>>())
        };
        let has_values =
            |(_, cells): &(&'static str, Vec<Option<f64>>)| cells.iter().any(Option::is_some);
        columns.into_iter().map(column).filter(has_values).collect()
    }
}
