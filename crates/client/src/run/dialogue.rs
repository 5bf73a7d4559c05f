use std::sync::{Mutex, PoisonError};

use turnbench_model::{Answer, Compat, HistoryReasoning};

use super::RunInput;
use super::script::Script;
use crate::body::{ConversationBody, JsonStyle};

/// A conversation under way: its history as it is sent.
#[derive(Debug)]
pub(crate) struct Dialogue {
    body: ConversationBody,
    /// Turns whose messages are in the body.
    turns_begun: u32,
}

impl Dialogue {
    /// The history up to the question of `turn` (from 1). The turn's messages are appended when it
    /// is asked for the first time; a retry finds them there.
    pub(crate) fn begin_turn(&mut self, script: &Script, turn: u32) -> &[u8] {
        if self.turns_begun < turn {
            if let Some(turn) = script.turns.get(turn as usize - 1) {
                if turn.span.standalone {
                    self.body.clear();
                }
                for message in &script.messages[turn.span.messages.clone()] {
                    self.body.push(message);
                }
            }
            self.turns_begun = turn;
        }
        self.body.history()
    }

    /// Appends the answer to the last turn begun.
    pub(crate) fn answer(&mut self, script: &Script, answer: &Answer, reasoning: HistoryReasoning) {
        let turn = self.turns_begun as usize - 1;
        match script.recorded_answer(turn) {
            Some(recorded) if script.turns[turn].span.keeps_recorded => self.body.push(recorded),
            _ => self.body.push(&answer.to_message(reasoning)),
        }
    }

    /// How its JSON is spelled.
    pub(crate) const fn style(&self) -> JsonStyle {
        self.body.style()
    }

    /// Messages in the history.
    pub(crate) const fn messages_count(&self) -> u32 {
        self.body.messages_count()
    }
}

/// The dialogues of a run, by conversation. A client takes one out for an attempt and puts it back;
/// the driver gives a conversation to one client only, so nobody waits.
#[derive(Debug)]
pub(crate) struct Dialogues {
    slots: Vec<Mutex<Option<Dialogue>>>,
    style: JsonStyle,
    model: String,
}

impl Dialogues {
    pub(crate) fn new(input: &RunInput) -> Self {
        let style = match input.request.compat {
            Compat::None => JsonStyle::Compact,
            Compat::Vllm => JsonStyle::Python,
        };
        let slots = input.scripts.iter().map(|_| Mutex::default()).collect();
        Self { slots, style, model: input.model.clone() }
    }

    /// Takes a dialogue out, beginning it if it has not begun.
    pub(crate) fn take(&self, conversation: u32) -> Dialogue {
        self.slot(conversation).take().unwrap_or_else(|| Dialogue {
            body: ConversationBody::new(self.style, &self.model),
            turns_begun: 0,
        })
    }

    /// Puts a dialogue back.
    pub(crate) fn put(&self, conversation: u32, dialogue: Dialogue) {
        *self.slot(conversation) = Some(dialogue);
    }

    /// Frees a conversation that has ended; the slot then holds nothing.
    fn slot(&self, conversation: u32) -> std::sync::MutexGuard<'_, Option<Dialogue>> {
        self.slots[conversation as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
