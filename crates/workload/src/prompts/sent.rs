use std::collections::BTreeMap;

use rayon::prelude::*;
use turnbench_kvcache::BlockHash;
use turnbench_model::{
    Conversation, HistoryReasoning, Message, RequestRecord, SentBlocks, TokenizerError, TurnRules,
};

use super::source::{PromptIds, PromptSource};

/// How a run's prompts are made anew.
#[derive(Clone, Copy)]
pub struct SentOptions<'a> {
    /// How conversations were taken apart.
    pub rules: TurnRules,
    /// Whether reasoning went into the history.
    pub reasoning: HistoryReasoning,
    /// Where ids come from.
    pub source: PromptSource<'a>,
    /// Tokens of a block.
    pub block_tokens: u32,
}

/// Makes the prompts of a run anew, after it, and names their blocks, from records that come in batches
/// and are not kept. What is held is the history of the conversations under way.
pub struct SentPrompts<'a> {
    conversations: &'a [Conversation],
    ids: PromptIds<'a>,
    options: SentOptions<'a>,
    histories: BTreeMap<u32, History>,
    rejected: u64,
}

/// A conversation as far as it was sent.
#[derive(Default)]
struct History {
    messages: Vec<Message>,
    /// Turns whose messages are in it.
    turns: u32,
    /// Names of all blocks that the last attempt left.
    names: Vec<u64>,
    is_rejected: bool,
}

impl<'a> SentPrompts<'a> {
    /// At the beginning of a run of these conversations.
    pub fn new(conversations: &'a [Conversation], options: SentOptions<'a>) -> Self {
        Self {
            conversations,
            ids: PromptIds::new(options.source),
            options,
            histories: BTreeMap::new(),
            rejected: 0,
        }
    }

    /// The blocks of the next records, in order of arrival; `None` where the conversation has no text.
    /// However a run's records are cut into batches, the blocks are the same.
    ///
    /// # Errors
    /// When the tokenizer fails, or the server behind it.
    pub fn blocks(
        &mut self,
        records: &[RequestRecord],
    ) -> Result<Vec<Option<SentBlocks>>, TokenizerError> {
        let mut of_conversation: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, record) in records.iter().enumerate() {
            of_conversation.entry(record.conversation).or_default().push(index);
        }
        let work: Vec<(u32, Vec<usize>, History)> = of_conversation
            .into_iter()
            .map(|(number, indices)| {
                (number, indices, self.histories.remove(&number).unwrap_or_default())
            })
            .collect();
        let done = work.into_par_iter().map(|(number, indices, mut history)| {
            let was_rejected = history.is_rejected;
            let mut blocks = Vec::with_capacity(indices.len());
            for index in indices {
                blocks.push((index, self.attempt(&records[index], &mut history)?));
            }
            let rejected = !was_rejected && history.is_rejected;
            let is_over = blocks.last().is_some_and(|(last, _)| records[*last].ends_conversation);
            let history = (!is_over).then_some(history);
            Ok((number, history, rejected, blocks))
        });
        let done = done.collect::<Result<Vec<_>, TokenizerError>>()?;
        let mut all = vec![None; records.len()];
        for (number, history, rejected, blocks) in done {
            self.rejected += u64::from(rejected);
            self.histories.extend(history.map(|history| (number, history)));
            for (index, of_attempt) in blocks {
                all[index] = of_attempt;
            }
        }
        Ok(all)
    }

    /// Conversations so far that the chat template rejects; their messages stand one after another.
    pub const fn rejected_conversations(&self) -> u64 {
        self.rejected
    }

    /// One attempt; takes the answer into the history.
    fn attempt(
        &self,
        record: &RequestRecord,
        history: &mut History,
    ) -> Result<Option<SentBlocks>, TokenizerError> {
        let Some(conversation) = self.conversations.get(record.conversation as usize) else {
            return Ok(None);
        };
        if conversation.messages.is_empty() {
            return Ok(None);
        }
        let spans = conversation.turns(self.options.rules);
        while history.turns < record.turn {
            let Some(span) = spans.get(history.turns as usize) else { break };
            if span.standalone {
                history.messages.clear();
            }
            history.messages.extend_from_slice(&conversation.messages[span.messages.clone()]);
            history.turns += 1;
        }
        let tools = conversation.request.get("tools");
        let prompt =
            if history.is_rejected { None } else { self.ids.prompt(&history.messages, tools)? };
        history.is_rejected = prompt.is_none();
        let mut ids = match prompt {
            Some(ids) => ids,
            None => self.ids.joined(&history.messages, tools)?,
        };
        let prompt_tokens = ids.len();
        if record.outcome.is_completed() {
            let answer = self.computed_answer(record)?;
            ids.extend(answer);
            let span = spans.get((history.turns as usize).saturating_sub(1));
            let recorded = span.filter(|span| span.keeps_recorded).and_then(|span| span.answer);
            history.messages.push(match recorded {
                Some(at) => conversation.messages[at].clone(),
                None => record.answer.to_message(self.options.reasoning),
            });
        }
        let salt = conversation.request.get("cache_salt").and_then(|salt| salt.as_str());
        let names = BlockHash::root(salt).names(&ids, self.options.block_tokens);
        let kept = names.iter().zip(&history.names).take_while(|(one, other)| one == other).count();
        let blocks = SentBlocks {
            prompt_tokens: prompt_tokens as u64,
            left_tokens: ids.len() as u64,
            kept: kept as u64,
            names: names[kept..].to_vec(),
        };
        history.names = names;
        Ok(Some(blocks))
    }

    /// Ids of an answer, but for its last token, whose KV is never computed. None where they are not
    /// known: reasoning and tool calls stand between tokens that are not in the answer.
    fn computed_answer(&self, record: &RequestRecord) -> Result<Vec<u32>, TokenizerError> {
        let answer = &record.answer;
        if !answer.reasoning.is_empty() || !answer.tool_calls.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids = self.ids.answer(&answer.content)?;
        let usage = record.usage.as_ref();
        // A token that ends the answer is counted but is not in the text.
        let generated = usage.and_then(|usage| usage.completion_tokens);
        let generated = generated.map_or(ids.len(), |count| usize::try_from(count).unwrap_or(0));
        ids.truncate(generated.saturating_sub(1));
        Ok(ids)
    }
}
