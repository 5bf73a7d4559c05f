//! Text for traces without text: one block name is always the same run of tokens, different names
//! differ, and lengths are exact.
//!
//! A block is a run of words that the tokenizer keeps as one token each, whatever stands beside
//! them. Its name's digits in base "number of words" come first, the rest is pseudo-random from
//! seed and name. What no name covers is unique to its conversation and turn.
//!
//! Names are sure to differ where all digits fit: in whole blocks, and in a last block of which the
//! prompt has that many tokens (7 where there are 1024 words, 13 where there are 32). One that is cut
//! off after fewer may begin like another block, and then counts as shared with it.

mod error;
mod random;
mod run;
mod vocabulary;

use std::sync::Arc;

use rayon::prelude::*;
use turnbench_model::{Conversation, Message, RecordedTurn, Tokenizer};

pub use error::TraceTextError;
use run::{Part, Runs};
use vocabulary::{Text, Vocabulary};

use crate::WorkloadError;

/// Most tokens of one text.
pub(crate) const TEXT_TOKENS_MAX: u64 = 1 << 24;

/// Texts are tokenized again, all of them, until so many prompt tokens were checked ...
const CHECKED_TOKENS: u64 = 1 << 18;

/// ... and after that those of one conversation in so many.
const CHECKED_EVERY: usize = 16;

/// Makes messages for conversations of which only lengths and block names are known.
pub struct TraceText {
    tokenizer: Arc<dyn Tokenizer>,
    runs: Runs,
    /// Whether the tokenizer might join words, so that every text must be checked.
    checks_all: bool,
}

/// What was made, and where the trace could not be followed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FillReport {
    /// Conversations that were given messages.
    pub conversation_count: u64,
    /// Their turns.
    pub turn_count: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of their answers.
    pub answer_tokens: u64,
    /// Turns that had lengths alone, so that nothing in their prompts is shared.
    pub turns_without_ids_count: u64,
    /// Turns of which no answer length is known.
    pub turns_without_answer_count: u64,
    /// Block names that lay beyond the end of their prompt, and were left out.
    pub ids_cut_count: u64,
    /// Prompt tokens after the last named block, in turns with names; they got text of their own.
    pub unnamed_tokens: u64,
    /// Turns whose text was tokenized again and found to be the very tokens it was made of.
    pub checked_turn_count: u64,
}

impl FillReport {
    /// Both reports as one.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            conversation_count: self.conversation_count + other.conversation_count,
            turn_count: self.turn_count + other.turn_count,
            prompt_tokens: self.prompt_tokens + other.prompt_tokens,
            answer_tokens: self.answer_tokens + other.answer_tokens,
            turns_without_ids_count: self.turns_without_ids_count + other.turns_without_ids_count,
            turns_without_answer_count: self.turns_without_answer_count
                + other.turns_without_answer_count,
            ids_cut_count: self.ids_cut_count + other.ids_cut_count,
            unnamed_tokens: self.unnamed_tokens + other.unnamed_tokens,
            checked_turn_count: self.checked_turn_count + other.checked_turn_count,
        }
    }
}

impl std::fmt::Debug for TraceText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TraceText").field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl TraceText {
    /// Finds words to make text of. The same tokenizer and seed give the same text for the same
    /// block name, in every run and whatever else is in the trace.
    ///
    /// # Errors
    /// When the tokenizer fails, or keeps too few words as one token each.
    pub fn new(tokenizer: Arc<dyn Tokenizer>, seed: u64) -> Result<Self, WorkloadError> {
        let vocabulary = Vocabulary::find(&*tokenizer)?;
        let mut sample = Text::default();
        (0..vocabulary.len()).for_each(|word| vocabulary.push(&mut sample, word));
        let checks_all = !tokenizer.takes_words_apart(&sample.text);
        Ok(Self { tokenizer, runs: Runs::new(vocabulary, seed), checks_all })
    }

    /// Gives each conversation that has recorded turns and no messages its messages: in each turn
    /// a user message that is the whole prompt, `prompt_tokens` long, and an assistant message of
    /// `max_tokens` tokens, or none where no length of the answer is known.
    ///
    /// Recorded turns stay, and are marked standalone. Texts are tokenized again to see that they
    /// are the tokens that they were made of: all of them up to about 260,000 tokens and where
    /// the tokenizer might join words, then those of one conversation in 16. The conversations are
    /// worked on in parallel; of several errors the first one's is returned.
    ///
    /// # Errors
    /// When the tokenizer fails, a turn has no length, a text would be absurdly long, block names
    /// do not fit their block size, or a text turns out not to be its tokens.
    pub fn fill(&self, conversations: &mut [Conversation]) -> Result<FillReport, WorkloadError> {
        let mut tokens = 0_u64;
        let mut work: Vec<(&mut Conversation, bool)> = conversations
            .iter_mut()
            .filter(|conversation| {
                conversation.messages.is_empty() && !conversation.recorded.is_empty()
            })
            .enumerate()
            .map(|(index, conversation)| {
                let sampled = index % CHECKED_EVERY == 0;
                let checks = self.checks_all || tokens < CHECKED_TOKENS || sampled;
                tokens += prompt_tokens(conversation);
                (conversation, checks)
            })
            .collect();
        let reports: Vec<Result<FillReport, WorkloadError>> = work
            .par_iter_mut()
            .map(|(conversation, checks)| self.fill_one(conversation, *checks))
            .collect();
        reports.into_iter().try_fold(FillReport::default(), |all, one| Ok(all.plus(one?)))
    }

    fn fill_one(
        &self,
        conversation: &mut Conversation,
        checks: bool,
    ) -> Result<FillReport, WorkloadError> {
        let mut report = FillReport { conversation_count: 1, ..FillReport::default() };
        let mut messages = Vec::with_capacity(2 * conversation.recorded.len());
        for (index, turn) in conversation.recorded.iter().enumerate() {
            let place = Place { conversation, turn: index };
            let prompt = self.prompt(place, turn, &mut report)?;
            let answer = self.answer(place, turn)?;
            if checks {
                self.check(place, &prompt)?;
                self.check(place, answer.as_ref().unwrap_or(&Text::default()))?;
                report.checked_turn_count += 1;
            }
            report.turn_count += 1;
            report.prompt_tokens += prompt.ids.len() as u64;
            messages.push(Message::new("user", prompt.text));
            match answer {
                Some(answer) => {
                    report.answer_tokens += answer.ids.len() as u64;
                    messages.push(Message::new("assistant", answer.text));
                }
                None => report.turns_without_answer_count += 1,
            }
        }
        let is_counted = report.turns_without_answer_count > 0;
        conversation.messages = messages;
        for turn in &mut conversation.recorded {
            turn.standalone = true;
            // Without an answer between them two questions would be one turn.
            turn.messages_count = is_counted.then_some(1);
        }
        Ok(report)
    }

    fn prompt(
        &self,
        place: Place<'_>,
        turn: &RecordedTurn,
        report: &mut FillReport,
    ) -> Result<Text, WorkloadError> {
        let mut text = Text::default();
        let (ids, block_size) = (&turn.hash_ids, place.block_size(turn)?);
        let named = ids.len() as u64 * u64::from(block_size);
        let length = match turn.prompt_tokens {
            Some(tokens) => u64::from(tokens),
            None if ids.is_empty() => return Err(place.no_length().into()),
            None => named,
        };
        let tokens = place.bounded("prompt_tokens", length)?;
        let mut left = tokens;
        let id_max = self.runs.id_max(block_size);
        for &id in ids {
            if left == 0 {
                report.ids_cut_count += 1;
                continue;
            }
            if id > id_max {
                return Err(place.id_too_large(id, block_size, id_max).into());
            }
            let block = left.min(block_size);
            self.runs.push_block(&mut text, id, block, block_size);
            left -= block;
        }
        if ids.is_empty() {
            report.turns_without_ids_count += 1;
        } else {
            report.unnamed_tokens += u64::from(left);
        }
        self.runs.push_unique(&mut text, place.key(), Part::Prompt, left);
        Ok(text)
    }

    fn answer(&self, place: Place<'_>, turn: &RecordedTurn) -> Result<Option<Text>, WorkloadError> {
        let Some(tokens) = turn.max_tokens else { return Ok(None) };
        let tokens = place.bounded("max_tokens", tokens.into())?;
        let mut text = Text::default();
        self.runs.push_unique(&mut text, place.key(), Part::Answer, tokens);
        Ok(Some(text))
    }

    fn check(&self, place: Place<'_>, text: &Text) -> Result<(), WorkloadError> {
        let ids = self.tokenizer.encode(&text.text)?;
        if ids == text.ids {
            return Ok(());
        }
        Err(TraceTextError::Unstable {
            conversation: place.conversation.id.clone(),
            turn: place.turn + 1,
            expected: text.ids.len(),
            found: ids.len(),
        }
        .into())
    }
}

/// Tokens of all prompts, roughly: for the decision what is checked.
fn prompt_tokens(conversation: &Conversation) -> u64 {
    conversation.recorded.iter().map(|turn| u64::from(turn.prompt_tokens.unwrap_or(0))).sum()
}

/// A turn (from 0) of a conversation.
#[derive(Clone, Copy)]
struct Place<'a> {
    conversation: &'a Conversation,
    turn: usize,
}

impl<'a> Place<'a> {
    fn key(self) -> (&'a str, usize) {
        (&self.conversation.id, self.turn)
    }

    /// Tokens of a block; 1 where there are no blocks.
    fn block_size(self, turn: &RecordedTurn) -> Result<u32, TraceTextError> {
        let seen = match self.conversation.hash_block_size {
            _ if turn.hash_ids.is_empty() => return Ok(1),
            Some(0) => "0",
            Some(size) => return Ok(size),
            None => "missing",
        };
        let conversation = self.conversation.id.clone();
        Err(TraceTextError::NoBlockSize { conversation, turn: self.turn + 1, seen })
    }

    fn bounded(self, field: &'static str, tokens: u64) -> Result<u32, TraceTextError> {
        match u32::try_from(tokens) {
            Ok(fits) if tokens <= TEXT_TOKENS_MAX => Ok(fits),
            Ok(_) | Err(_) => Err(TraceTextError::TooLong {
                conversation: self.conversation.id.clone(),
                turn: self.turn + 1,
                field,
                tokens,
                max: TEXT_TOKENS_MAX,
            }),
        }
    }

    fn no_length(self) -> TraceTextError {
        let conversation = self.conversation.id.clone();
        TraceTextError::NoLength { conversation, turn: self.turn + 1 }
    }

    fn id_too_large(self, id: u64, block_size: u32, max: u64) -> TraceTextError {
        let conversation = self.conversation.id.clone();
        TraceTextError::IdTooLarge { conversation, turn: self.turn + 1, id, block_size, max }
    }
}

#[cfg(test)]
mod tests;
