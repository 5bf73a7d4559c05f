use rayon::prelude::*;
use turnbench_model::{
    Answer, Conversation, RequestRecord, TokenCounts, Tokenizer, TokenizerError, Usage,
};

/// Counts the tokens of a run's requests and answers, after the run.
///
/// Every recorded message and every answer is tokenized once; a request's input is the sum over
/// its messages, as the reference counts it (no chat template, no special tokens). Conversations are
/// counted in parallel. With `only_missing` a record whose server reported its usage gets no
/// counts: for tokenizers that cost a request each.
///
/// # Errors
/// When the tokenizer fails.
pub fn count_tokens(
    conversations: &[Conversation],
    records: &[RequestRecord],
    tokenizer: &dyn Tokenizer,
    only_missing: bool,
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
            count_conversation(conversation, indices, records, tokenizer, only_missing)
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
    only_missing: bool,
) -> Result<Vec<(usize, TokenCounts)>, TokenizerError> {
    let spans = conversation.turns();
    let mut history = 0;
    // Turns whose messages are in `history`, and tokens of the last of these messages.
    let (mut turns, mut question) = (0, 0);
    let mut counts = Vec::with_capacity(indices.len());
    for &index in indices {
        let record = &records[index];
        if only_missing && has_counts(record.usage.as_ref()) {
            continue;
        }
        while turns < record.turn as usize {
            let Some(span) = spans.get(turns) else { break };
            for message in &conversation.messages[span.messages.clone()] {
                question = tokenizer.count(&message.content.text())?;
                history += question;
            }
            turns += 1;
        }
        let output = answer_tokens(&record.answer, tokenizer)?;
        counts.push((
            index,
            TokenCounts {
                input: Some(history),
                question: Some(question),
                output: Some(output.all),
                first_chunk: Some(tokenizer.count(&record.answer.first_chunk)?),
            },
        ));
        if record.outcome.is_completed() {
            history += output.content;
        }
    }
    Ok(counts)
}

/// Whether the server reported what the tokenizer would count.
fn has_counts(usage: Option<&Usage>) -> bool {
    usage.is_some_and(|usage| usage.prompt_tokens.is_some() && usage.completion_tokens.is_some())
}

struct AnswerTokens {
    /// Of the text that goes into the history.
    content: u64,
    /// Of all that the server produced.
    all: u64,
}

fn answer_tokens(
    answer: &Answer,
    tokenizer: &dyn Tokenizer,
) -> Result<AnswerTokens, TokenizerError> {
    let content = tokenizer.count(&answer.content)?;
    let mut all = content;
    if !answer.reasoning.is_empty() {
        all += tokenizer.count(&answer.reasoning)?;
    }
    for call in &answer.tool_calls {
        let function = call.get("function");
        for key in ["name", "arguments"] {
            if let Some(text) = function.and_then(|function| function.get(key)?.as_str()) {
                all += tokenizer.count(text)?;
            }
        }
    }
    Ok(AnswerTokens { content, all })
}
