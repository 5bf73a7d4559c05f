use rayon::prelude::*;
use serde_json::Map;
use turnbench_model::{Conversation, RecordedTurn, Tokenizer, TurnRules, TurnSpan};

use super::block_names::{BlockChain, BlockNames, PromptBlocks, joined};
use super::openai::is_made_id;
use super::{Layout, Sheet, WriteError, WriteReport, WriterOptions, lost, timing};
use crate::message_text::message_texts;

/// Conversations that are tokenized at once, on all cores.
const BATCH: usize = 64;

/// Mooncake's trace rows (FAST '25 release), one a turn, with the keys that AIPerf and Dynamo add:
/// `{"timestamp", "input_length", "output_length", "hash_ids"}`, spaced as in the published files.
///
/// Rows follow one another by conversation, not by time. The turns of a conversation have its id as
/// `session_id`; a single one has it as `request_id`, unless it is the number of a row. A turn that
/// has block names of the size asked for keeps them; smaller ones that fit are joined; otherwise the
/// blocks are made from the text of the whole prompt under recorded history (the messages' texts one
/// after another, as tokens are counted everywhere, without a chat template) and numbered from 0.
/// Sizes other than 512 stand beside them as `block_size`. The answer's length is the recorded one,
/// or else that of the recorded answer. The request's keys are `extra`. Text is lost, with latencies
/// and parents.
pub(super) struct MooncakeRows {
    options: WriterOptions,
    names: BlockNames,
    waiting: Vec<Conversation>,
}

/// A conversation's turns, ready but for the names of their blocks.
struct Prepared {
    /// The prompts' tokens; a prompt without history begins another chain.
    chains: Vec<BlockChain>,
    turns: Vec<PreparedTurn>,
}

struct PreparedTurn {
    blocks: Blocks,
    input_length: Option<u64>,
    output_length: Option<u64>,
}

enum Blocks {
    Unknown,
    /// Those of the recorded turn.
    Recorded,
    /// A part of the chain of that index.
    Text(usize, PromptBlocks),
}

impl MooncakeRows {
    pub(super) fn new(options: WriterOptions) -> Self {
        let block_size = options.block_size.max(1);
        let options = WriterOptions { block_size, ..options };
        Self { options, names: BlockNames::default(), waiting: Vec::new() }
    }

    fn write_waiting(&mut self, sheet: &mut Sheet) -> Result<(), WriteError> {
        let waiting = std::mem::take(&mut self.waiting);
        let prepared: Vec<Result<Prepared, WriteError>> = waiting
            .par_iter()
            .map(|conversation| Preparation { options: &self.options, conversation }.prepare())
            .collect();
        for (conversation, prepared) in waiting.iter().zip(prepared) {
            self.write_rows(conversation, &prepared?, sheet)?;
        }
        Ok(())
    }

    fn write_rows(
        &mut self,
        conversation: &Conversation,
        prepared: &Prepared,
        sheet: &mut Sheet,
    ) -> Result<(), WriteError> {
        if prepared.turns.is_empty() {
            sheet.report.lose(lost::without_turns(conversation), 1);
            return Ok(());
        }
        lose_text(conversation, &mut sheet.report);
        let rows_before = sheet.report.rows;
        for (index, turn) in prepared.turns.iter().enumerate() {
            let recorded = conversation.recorded_turn(index).cloned().unwrap_or_default();
            let Some(input_length) = turn.input_length.filter(|&tokens| tokens > 0) else {
                sheet.report.lose(lost::WITHOUT_LENGTH, 1);
                continue;
            };
            let mut row = Map::new();
            if prepared.turns.len() > 1 {
                row.insert("session_id".to_owned(), conversation.id.as_str().into());
            } else if !is_made_id(&conversation.id) {
                row.insert("request_id".to_owned(), conversation.id.as_str().into());
            }
            timing::put_time(&mut row, index, &recorded, &mut sheet.report);
            row.insert("input_length".to_owned(), input_length.into());
            if let Some(output_length) = turn.output_length {
                row.insert("output_length".to_owned(), output_length.into());
            }
            let names = self.names_of(conversation, &recorded, turn, prepared, &mut sheet.report);
            sheet.report.lose_if(names.is_none(), lost::BLOCK_NAMES);
            if let Some(names) = names.filter(|names| !names.is_empty()) {
                row.insert("hash_ids".to_owned(), names.into());
                if self.options.block_size != WriterOptions::MOONCAKE_BLOCK_SIZE {
                    row.insert("block_size".to_owned(), self.options.block_size.into());
                }
            }
            if let Some(model) = recorded.model.as_deref() {
                row.insert("model".to_owned(), model.into());
            }
            let mut extra = conversation.request.clone();
            if matches!(turn.blocks, Blocks::Text(..)) {
                // Their tokens are in the prompt already.
                sheet.report.lose_if(extra.shift_remove("tools").is_some(), lost::TOOLS);
            }
            if !extra.is_empty() {
                row.insert("extra".to_owned(), extra.into());
            }
            lose_of_turn(&recorded, input_length, turn.output_length, &mut sheet.report);
            let is_short = input_length < u64::from(self.options.block_size);
            let is_text = matches!(turn.blocks, Blocks::Text(..));
            sheet.report.lose_if(is_short && is_text, lost::SHORT_PROMPTS);
            sheet.python_line(&row)?;
        }
        sheet.report.conversations += u64::from(sheet.report.rows > rows_before);
        Ok(())
    }

    /// The names of a turn's blocks; `None` when they cannot be written.
    fn names_of(
        &mut self,
        conversation: &Conversation,
        recorded: &RecordedTurn,
        turn: &PreparedTurn,
        prepared: &Prepared,
        report: &mut WriteReport,
    ) -> Option<Vec<u64>> {
        match turn.blocks {
            Blocks::Unknown => Some(Vec::new()),
            Blocks::Text(chain, prompt) => self.names.number(prepared.chains[chain].blocks(prompt)),
            Blocks::Recorded => {
                let recorded_size = conversation.hash_block_size.unwrap_or(1).max(1);
                match self.options.block_size / recorded_size {
                    1 => Some(self.names.keep(&recorded.hash_ids)),
                    ratio => {
                        report.lose(lost::SMALL_BLOCKS, 1);
                        self.names.number(joined(&recorded.hash_ids, ratio as usize))
                    }
                }
            }
        }
    }
}

impl Layout for MooncakeRows {
    fn write(&mut self, conversation: Conversation, sheet: &mut Sheet) -> Result<(), WriteError> {
        self.waiting.push(conversation);
        if self.waiting.len() == BATCH { self.write_waiting(sheet) } else { Ok(()) }
    }

    fn finish(&mut self, sheet: &mut Sheet) -> Result<(), WriteError> {
        self.write_waiting(sheet)
    }
}

/// What has to be found out about one conversation.
struct Preparation<'a> {
    options: &'a WriterOptions,
    conversation: &'a Conversation,
}

impl Preparation<'_> {
    fn prepare(&self) -> Result<Prepared, WriteError> {
        let conversation = self.conversation;
        if conversation.messages.is_empty() {
            let turns = conversation.recorded.iter().map(|turn| self.without_text(turn));
            return Ok(Prepared { chains: Vec::new(), turns: turns.collect::<Result<_, _>>()? });
        }
        let spans = conversation.turns(TurnRules::default());
        let is_text =
            |turn: usize| !conversation.recorded_turn(turn).is_some_and(|turn| self.is_named(turn));
        let (mut chains, mut turns) = (Vec::new(), Vec::with_capacity(spans.len()));
        // Messages before this one are in the last chain.
        let mut next = 0;
        for (index, span) in spans.iter().enumerate() {
            if chains.is_empty() || span.standalone {
                next = span.messages.start;
                chains.push(BlockChain::new(self.options.block_size));
            }
            let recorded = conversation.recorded_turn(index).cloned().unwrap_or_default();
            let output_length = self.output_length(&recorded, span)?;
            if !is_text(index) && recorded.prompt_tokens.is_some() {
                turns.push(PreparedTurn { output_length, ..self.without_text(&recorded)? });
                continue;
            }
            let tokenizer = self.tokenizer()?;
            let chain_index = chains.len() - 1;
            let chain = &mut chains[chain_index];
            if let Some(tools) = conversation.request.get("tools").filter(|_| chain.is_empty()) {
                let tokens = tokenizer.encode(&tools.to_string());
                chain.push(&tokens.map_err(|error| self.failed(error))?);
            }
            for message in &conversation.messages[next..span.messages.end] {
                for text in message_texts(message) {
                    chain.push(&tokenizer.encode(&text).map_err(|error| self.failed(error))?);
                }
            }
            next = span.messages.end;
            let prompt = chain.prompt();
            let blocks =
                if is_text(index) { Blocks::Text(chain_index, prompt) } else { Blocks::Recorded };
            turns.push(PreparedTurn { blocks, input_length: Some(prompt.tokens), output_length });
        }
        Ok(Prepared { chains, turns })
    }

    /// A turn of which the trace tells everything that can be known.
    fn without_text(&self, turn: &RecordedTurn) -> Result<PreparedTurn, WriteError> {
        let blocks = if turn.hash_ids.is_empty() {
            Blocks::Unknown
        } else if self.is_named(turn) {
            Blocks::Recorded
        } else {
            return Err(WriteError::BlockSize {
                conversation: self.conversation.id.clone(),
                recorded: self.conversation.hash_block_size.unwrap_or(0),
                asked: self.options.block_size,
            });
        };
        Ok(PreparedTurn {
            blocks,
            input_length: turn.prompt_tokens.map(u64::from),
            output_length: turn.max_tokens.map(u64::from),
        })
    }

    /// Whether a turn has block names that make names of the size asked for.
    fn is_named(&self, turn: &RecordedTurn) -> bool {
        let fits = |size: u32| size > 0 && self.options.block_size.is_multiple_of(size);
        !turn.hash_ids.is_empty() && self.conversation.hash_block_size.is_some_and(fits)
    }

    fn output_length(
        &self,
        recorded: &RecordedTurn,
        span: &TurnSpan,
    ) -> Result<Option<u64>, WriteError> {
        let (min, max) = (recorded.min_tokens, recorded.max_tokens);
        // A cap says less than the answer that was given under it.
        let answer = span.answer.filter(|_| max.is_none() || min != max);
        let answer = answer.filter(|_| max.is_none() || self.options.tokenizer.is_some());
        let Some(answer) = answer else { return Ok(max.map(u64::from)) };
        let answer = &self.conversation.messages[answer];
        let tokens = crate::message_tokens(answer, self.tokenizer()?);
        // No answer is shorter than one token.
        tokens.map(|tokens| Some(tokens.max(1))).map_err(|error| self.failed(error))
    }

    fn tokenizer(&self) -> Result<&dyn Tokenizer, WriteError> {
        let missing = || WriteError::NoTokenizer { conversation: self.conversation.id.clone() };
        self.options.tokenizer.as_deref().ok_or_else(missing)
    }

    fn failed(&self, source: turnbench_model::TokenizerError) -> WriteError {
        WriteError::Tokenizer { conversation: self.conversation.id.clone(), source }
    }
}

fn lose_text(conversation: &Conversation, report: &mut WriteReport) {
    lost::lose_own(conversation, report);
    report.lose(lost::MESSAGE_TEXTS, conversation.messages.len() as u64);
}

fn lose_of_turn(
    recorded: &RecordedTurn,
    input_length: u64,
    output_length: Option<u64>,
    report: &mut WriteReport,
) {
    let (min, max) = (recorded.min_tokens, recorded.max_tokens);
    let is_length = max.map(u64::from) == output_length;
    let limit = if is_length { lost::LIMITS } else { lost::MAX_TOKENS };
    report.lose_if(max.is_some() && min != max, limit);
    report.lose_if(max.is_none() && min.is_some(), lost::MIN_TOKENS);
    let counted_anew = recorded.prompt_tokens.is_some_and(|it| u64::from(it) != input_length);
    report.lose_if(counted_anew, lost::PROMPT_TOKENS);
}

#[cfg(test)]
mod tests;
