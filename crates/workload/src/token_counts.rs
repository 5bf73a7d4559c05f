use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use turnbench_model::{
    Conversation, HistoryReasoning, Message, RequestRecord, TokenCounts, Tokenizer, TokenizerError,
    TurnRules,
};

use crate::message_text::message_texts;

/// How the tokens of a run are counted.
#[derive(Clone, Debug)]
pub struct CountOptions {
    /// How conversations were taken apart.
    pub rules: TurnRules,
    /// Whether reasoning went into the history.
    pub reasoning: HistoryReasoning,
    /// The conversations, by index, that are counted; `None`: all of them. For tokenizers that cost
    /// a request each: see [`server_counted`].
    pub only: Option<BTreeSet<u32>>,
}

/// Counts the tokens of a run's requests and answers, after the run, from records that come in
/// batches and are not kept.
///
/// Every recorded message and every answer is tokenized once; a request's input is the sum over
/// its messages, as the reference counts it (no chat template, no special tokens). The conversations
/// of a batch are counted in parallel.
pub struct TokenCounter<'a> {
    conversations: &'a [Conversation],
    tokenizer: &'a dyn Tokenizer,
    options: CountOptions,
    /// By conversation.
    histories: Vec<History>,
}

/// How far a conversation is counted.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    /// Tokens of its messages so far.
    tokens: u64,
    /// Tokens of the last of them that was recorded.
    question: u64,
    /// Turns whose messages are in it.
    turns: u32,
}

impl<'a> TokenCounter<'a> {
    /// A counter at the beginning of a run of these conversations.
    pub fn new(
        conversations: &'a [Conversation],
        tokenizer: &'a dyn Tokenizer,
        options: CountOptions,
    ) -> Self {
        let histories = vec![History::default(); conversations.len()];
        Self { conversations, tokenizer, options, histories }
    }

    /// Counts the next records, in order of arrival; one entry for each. However a run's records are
    /// cut into batches, the counts are the same.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn count(&mut self, records: &[RequestRecord]) -> Result<Vec<TokenCounts>, TokenizerError> {
        let mut of_conversation: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, record) in records.iter().enumerate() {
            let only = self.options.only.as_ref();
            if only.is_none_or(|only| only.contains(&record.conversation)) {
                of_conversation.entry(record.conversation).or_default().push(index);
            }
        }
        let counted: Vec<_> = of_conversation
            .into_par_iter()
            .map(|(conversation, indices)| self.count_conversation(conversation, indices, records))
            .collect::<Result<_, _>>()?;
        let mut counts = vec![TokenCounts::default(); records.len()];
        for one in counted.into_iter().flatten() {
            self.histories[one.conversation as usize] = one.history;
            for (index, tokens) in one.counts {
                counts[index] = tokens;
            }
        }
        Ok(counts)
    }

    /// Counts the records of one conversation, which are at `indices`.
    fn count_conversation(
        &self,
        number: u32,
        indices: Vec<usize>,
        records: &[RequestRecord],
    ) -> Result<Option<Counted>, TokenizerError> {
        let Some(conversation) = self.conversations.get(number as usize) else { return Ok(None) };
        let tokenizer = self.tokenizer;
        let spans = conversation.turns(self.options.rules);
        let mut history = self.histories[number as usize];
        let mut counts = Vec::with_capacity(indices.len());
        for index in indices {
            let record = &records[index];
            while history.turns < record.turn {
                let Some(span) = spans.get(history.turns as usize) else { break };
                if span.standalone {
                    history.tokens = 0;
                }
                for message in &conversation.messages[span.messages.clone()] {
                    history.question = message_tokens(message, tokenizer)?;
                    history.tokens += history.question;
                }
                history.turns += 1;
            }
            // An answer's tokens are those of a message that keeps all of it.
            let answer = record.answer.to_message(HistoryReasoning::Keep);
            let output = message_tokens(&answer, tokenizer)?;
            let tokens = TokenCounts {
                input: Some(history.tokens),
                question: Some(history.question),
                output: Some(output),
                first_chunk: Some(tokenizer.count(&record.answer.first_chunk)?),
            };
            counts.push((index, tokens));
            if record.outcome.is_completed() {
                let span = spans.get((history.turns as usize).saturating_sub(1));
                let recorded = span.filter(|span| span.keeps_recorded).and_then(|span| span.answer);
                let reasoning = self.options.reasoning;
                let is_whole =
                    reasoning == HistoryReasoning::Keep || record.answer.reasoning.is_empty();
                history.tokens += match recorded {
                    Some(at) => message_tokens(&conversation.messages[at], tokenizer)?,
                    None if is_whole => output,
                    None => message_tokens(&record.answer.to_message(reasoning), tokenizer)?,
                };
            }
        }
        Ok(Some(Counted { conversation: number, history, counts }))
    }
}

/// What a batch told of one conversation.
struct Counted {
    conversation: u32,
    history: History,
    /// With the record's place in the batch.
    counts: Vec<(usize, TokenCounts)>,
}

/// Whether the server reported what the tokenizer would count.
pub fn server_counted(record: &RequestRecord) -> bool {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};
    use turnbench_model::{
        Answer, Conversation, Failure, FailureKind, HistoryReasoning, Message, Outcome, Phase,
        RequestRecord, Stamps, TokenCounts, Tokenizer, TokenizerError, TurnRules,
    };

    use super::{CountOptions, TokenCounter};

    /// A token for each word.
    struct Words;

    impl Tokenizer for Words {
        fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
            Ok(text.split_whitespace().map(|word| word.len() as u32).collect())
        }

        fn decode(&self, _ids: &[u32]) -> Result<String, TokenizerError> {
            Ok(String::new())
        }

        fn vocab_size(&self) -> u32 {
            u32::MAX
        }
    }

    /// Two questions of two and three words, the first answered.
    fn conversation(id: &str) -> Conversation {
        let messages =
            [("user", "one two"), ("assistant", "recorded"), ("user", "three four five")];
        Conversation::new(id, messages.map(|(role, text)| Message::new(role, text)).into())
    }

    fn record(conversation: u32, turn: u32, answer: &str, is_completed: bool) -> RequestRecord {
        let failure = Failure {
            kind: FailureKind::Timeout,
            status: None,
            message: String::new(),
            retry_after_ns: None,
        };
        RequestRecord {
            conversation_id: "c".into(),
            conversation,
            turn,
            attempt: 1,
            last_attempt: true,
            ends_conversation: false,
            client: 0,
            connection: None,
            phase: Phase::Main,
            input_messages: turn * 2 - 1,
            request_bytes: 0,
            max_tokens: None,
            outcome: if is_completed { Outcome::Completed } else { Outcome::Failed(failure) },
            stamps: Stamps::default(),
            answer: Answer {
                content: answer.to_owned(),
                reasoning: "hm well".to_owned(),
                first_chunk: answer.split(' ').next().unwrap_or_default().to_owned(),
                ..Answer::default()
            },
            usage: None,
            server_times: None,
            reconnects_count: 0,
            reads_count: 0,
            client_delay_max_ns: None,
        }
    }

    /// Two conversations side by side; of the second one the first turn is tried twice.
    fn records() -> Vec<RequestRecord> {
        vec![
            record(0, 1, "a b c d", true),
            record(1, 1, "half an", false),
            record(1, 1, "a b", true),
            record(0, 2, "a", true),
            record(1, 2, "a b c", true),
        ]
    }

    fn options(reasoning: HistoryReasoning) -> CountOptions {
        CountOptions { rules: TurnRules::default(), reasoning, only: None }
    }

    fn counts(options: CountOptions, batches: &[&[RequestRecord]]) -> Vec<TokenCounts> {
        let conversations = [conversation("a"), conversation("b")];
        let mut counter = TokenCounter::new(&conversations, &Words, options);
        batches.iter().flat_map(|batch| counter.count(batch).unwrap()).collect()
    }

    fn inputs(counts: &[TokenCounts]) -> Vec<Option<u64>> {
        counts.iter().map(|counts| counts.input).collect()
    }

    #[test]
    fn a_requests_input_is_the_sum_of_its_messages() {
        let found = counts(options(HistoryReasoning::Drop), &[&records()]);
        assert_eq!(inputs(&found), [Some(2), Some(2), Some(2), Some(9), Some(7)]);
        let last = TokenCounts {
            input: Some(7),
            question: Some(3),
            output: Some(5),
            first_chunk: Some(1),
        };
        assert_eq!(found[4], last);
        let kept = counts(options(HistoryReasoning::Keep), &[&records()]);
        assert_eq!(inputs(&kept), [Some(2), Some(2), Some(2), Some(11), Some(9)]);
    }

    #[test]
    fn only_the_conversations_asked_for_are_counted() {
        let only = Some([1].into());
        let found = counts(CountOptions { only, ..options(HistoryReasoning::Drop) }, &[&records()]);
        assert_eq!(inputs(&found), [None, Some(2), Some(2), None, Some(7)]);
    }

    proptest! {
        #[test]
        fn batches_do_not_show_in_the_counts(cuts in prop::collection::vec(any::<bool>(), 4)) {
            let records = records();
            let expect = counts(options(HistoryReasoning::Drop), &[&records]);
            let (mut batches, mut rest) = (Vec::new(), records.as_slice());
            for (index, _) in cuts.iter().enumerate().filter(|(_, cut)| **cut) {
                let (batch, after) = rest.split_at(index + 1 - (records.len() - rest.len()));
                batches.push(batch);
                rest = after;
            }
            batches.push(rest);
            assert_eq!(counts(options(HistoryReasoning::Drop), &batches), expect);
        }
    }
}
