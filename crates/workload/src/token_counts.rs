use rayon::prelude::*;
use turnbench_model::{
    Conversation, HistoryReasoning, Message, RequestRecord, TokenCounts, Tokenizer, TokenizerError,
    TurnRules,
};

use crate::message_text::message_texts;

/// How the tokens of a run are counted.
#[derive(Clone, Copy, Debug)]
pub struct CountOptions {
    /// How conversations were taken apart.
    pub rules: TurnRules,
    /// Whether reasoning went into the history.
    pub reasoning: HistoryReasoning,
    /// Leave out conversations for all of whose requests the server reported its usage: for
    /// tokenizers that cost a request each.
    pub only_missing: bool,
}

/// Counts the tokens of a run's requests and answers, after the run.
///
/// Every recorded message and every answer is tokenized once; a request's input is the sum over
/// its messages, as the reference counts it (no chat template, no special tokens). Conversations are
/// counted in parallel.
///
/// # Errors
/// When the tokenizer fails.
pub fn count_tokens(
    conversations: &[Conversation],
    records: &[RequestRecord],
    tokenizer: &dyn Tokenizer,
    options: CountOptions,
) -> Result<Vec<TokenCounts>, TokenizerError> {
    let mut of_conversation = vec![Vec::new(); conversations.len()];
    for (index, record) in records.iter().enumerate() {
        if let Some(list) = of_conversation.get_mut(record.conversation as usize) {
            list.push(index);
        }
    }
    let counted: Vec<(usize, TokenCounts)> = of_conversation
        .par_iter()
        .zip(conversations)
        .map(|(indices, conversation)| {
            count_conversation(conversation, indices, records, tokenizer, options)
        })
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    let mut counts = vec![TokenCounts::default(); records.len()];
    for (index, one) in counted {
        counts[index] = one;
    }
    Ok(counts)
}

fn count_conversation(
    conversation: &Conversation,
    indices: &[usize],
    records: &[RequestRecord],
    tokenizer: &dyn Tokenizer,
    options: CountOptions,
) -> Result<Vec<(usize, TokenCounts)>, TokenizerError> {
    if options.only_missing && indices.iter().all(|&index| has_counts(&records[index])) {
        return Ok(Vec::new());
    }
    let spans = conversation.turns(options.rules);
    let mut history = 0;
    // Turns whose messages are in `history`, and tokens of the last of these messages.
    let (mut turns, mut question) = (0, 0);
    let mut counts = Vec::with_capacity(indices.len());
    for &index in indices {
        let record = &records[index];
        while turns < record.turn as usize {
            let Some(span) = spans.get(turns) else { break };
            if span.standalone {
                history = 0;
            }
            for message in &conversation.messages[span.messages.clone()] {
                question = message_tokens(message, tokenizer)?;
                history += question;
            }
            turns += 1;
        }
        counts.push((
            index,
            TokenCounts {
                input: Some(history),
                question: Some(question),
                // An answer's tokens are those of a message that keeps all of it.
                output: Some(message_tokens(
                    &record.answer.to_message(HistoryReasoning::Keep),
                    tokenizer,
                )?),
                first_chunk: Some(tokenizer.count(&record.answer.first_chunk)?),
            },
        ));
        if record.outcome.is_completed() {
            let span = spans.get(turns.saturating_sub(1));
            let recorded = span.filter(|span| span.keeps_recorded).and_then(|span| span.answer);
            history += match recorded {
                Some(answer) => message_tokens(&conversation.messages[answer], tokenizer)?,
                None => message_tokens(&record.answer.to_message(options.reasoning), tokenizer)?,
            };
        }
    }
    Ok(counts)
}

/// Whether the server reported what the tokenizer would count.
fn has_counts(record: &RequestRecord) -> bool {
    let usage = record.usage.as_ref();
    usage.is_some_and(|usage| usage.prompt_tokens.is_some() && usage.completion_tokens.is_some())
}

/// Tokens of a message's text: its content, and for an answer its reasoning and tool calls.
///
/// # Errors
/// When the tokenizer fails.
pub fn message_tokens(message: &Message, tokenizer: &dyn Tokenizer) -> Result<u64, TokenizerError> {
    let mut tokens = 0;
    for text in message_texts(message) {
        tokens += tokenizer.count(&text)?;
    }
    Ok(tokens)
}
