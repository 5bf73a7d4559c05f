use std::sync::{Mutex, MutexGuard, PoisonError};

use turnbench_model::{Answer, Compat, HistoryReasoning};

use super::RunInput;
use super::script::Script;
use crate::api::AnswerSpelling;
use crate::{ConversationBody, JsonStyle};

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
                for message in &script.messages()[turn.span.messages.clone()] {
                    self.body.push(message);
                }
            }
            self.body.free_spare();
            self.turns_begun = turn;
        }
        self.body.history()
    }

    /// Appends the answer to the last turn begun.
    pub(crate) fn answer(
        &mut self,
        script: &Script,
        answer: &Answer,
        spelling: &AnswerSpelling,
        reasoning: HistoryReasoning,
    ) {
        let turn = self.turns_begun as usize - 1;
        match script.recorded_answer(turn) {
            Some(recorded) if script.turns[turn].span.keeps_recorded => self.body.push(recorded),
            _ => self.body.push_answer(answer, spelling, reasoning),
        }
        // It may wait long for its next turn.
        self.body.free_spare();
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

/// Begins the dialogues of a run. A client owns those of the conversations it has opened; what the
/// warm-up leaves is kept here, for whoever opens the conversation in the run proper.
#[derive(Debug)]
pub(crate) struct Dialogues {
    style: JsonStyle,
    model: String,
    /// By conversation; empty without a warm-up. Each is filled once and taken once, in different
    /// phases, so nobody ever waits for a lock.
    warmed: Vec<Mutex<Option<Dialogue>>>,
}

impl Dialogues {
    pub(crate) fn new(input: &RunInput) -> Self {
        let style = match input.request.compat {
            Compat::None => JsonStyle::Compact,
            Compat::Vllm => JsonStyle::Python,
        };
        let warmed = if input.warmup { input.scripts.len() } else { 0 };
        let warmed = (0..warmed).map(|_| Mutex::default()).collect();
        Self { style, model: input.model.clone(), warmed }
    }

    /// A conversation's dialogue: what the warm-up left of it, or a new one.
    pub(crate) fn open(&self, conversation: u32) -> Dialogue {
        let warmed = self.slot(conversation).and_then(|mut slot| slot.take());
        warmed.unwrap_or_else(|| Dialogue {
            body: ConversationBody::new(self.style, &self.model),
            turns_begun: 0,
        })
    }

    /// Keeps a dialogue of the warm-up.
    pub(crate) fn keep(&self, conversation: u32, dialogue: Dialogue) {
        if let Some(mut slot) = self.slot(conversation) {
            *slot = Some(dialogue);
        }
    }

    fn slot(&self, conversation: u32) -> Option<MutexGuard<'_, Option<Dialogue>>> {
        let slot = self.warmed.get(conversation as usize)?;
        Some(slot.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
