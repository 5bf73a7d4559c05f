use turnbench_model::{Conversation, Tokenizer, TurnRules, TurnSpan};

use super::{AsciiFilter, content};
use crate::WorkloadError;
use crate::token_counts::message_tokens;

/// Which conversations of a data set are of use. `None` filters nothing. A conversation is judged
/// by the first limit that it fails, in the order of the fields.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Filters {
    /// Fewest messages; judged before anything is cut.
    pub min_turns: Option<u32>,
    /// Most messages; a longer conversation is cut, at an answer.
    pub max_turns: Option<u32>,
    /// Fewest characters (code points) of every message.
    pub min_content_len: Option<u64>,
    /// Most characters (code points) of every message.
    pub max_content_len: Option<u64>,
    /// Whether texts of ASCII characters alone are wanted.
    pub ascii: AsciiFilter,
    /// Fewest tokens of every message.
    pub min_content_tokens: Option<u64>,
    /// Most tokens of every message.
    pub max_content_tokens: Option<u64>,
    /// Most tokens of any prompt with its answer: recorded counts where a trace has them, else
    /// those of the messages, without a chat template.
    pub max_model_len: Option<u64>,
    /// What becomes of a conversation that has longer ones.
    pub over_model_len: OverModelLen,
}

/// What becomes of a conversation that grows beyond the model's length.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OverModelLen {
    /// It is dropped.
    #[default]
    Drop,
    /// It ends before the first turn that is too long.
    Cut,
}

/// What a filter makes of a conversation.
#[derive(Debug)]
pub(super) enum Verdict {
    Keep(Box<Conversation>),
    Cut(Box<Conversation>, &'static str),
    Drop(&'static str),
}

impl Filters {
    /// Whether no limit is set.
    pub fn keep_everything(&self) -> bool {
        let Self { over_model_len, .. } = *self;
        *self == Self { over_model_len, ..Self::default() }
    }

    /// Whether a limit in tokens is set, so that a tokenizer is needed.
    pub const fn need_tokens(&self) -> bool {
        self.min_content_tokens.is_some()
            || self.max_content_tokens.is_some()
            || self.max_model_len.is_some()
    }

    pub(super) fn judge(
        &self,
        mut conversation: Conversation,
        tokenizer: Option<&dyn Tokenizer>,
    ) -> Result<Verdict, WorkloadError> {
        if self.min_turns.is_some_and(|min| messages_count(&conversation) < min as usize) {
            return Ok(Verdict::Drop("fewer messages than --min-turns"));
        }
        let mut cut = None;
        if let Some(max) = self.max_turns
            && messages_count(&conversation) > max as usize
        {
            if cut_to_messages(&mut conversation, max as usize) == 0 {
                return Ok(Verdict::Drop("no whole turn within --max-turns messages"));
            }
            cut = Some("--max-turns");
        }
        if let Some(reason) = content::refuses(self, &conversation, tokenizer)? {
            return Ok(Verdict::Drop(reason));
        }
        if let Some(max) = self.max_model_len
            && let Some(turn) = first_turn_over(&conversation, max, tokenizer)?
        {
            if self.over_model_len == OverModelLen::Drop || turn == 0 {
                return Ok(Verdict::Drop("longer than --max-model-len"));
            }
            cut_to_turns(&mut conversation, turn);
            cut = Some("--max-model-len");
        }
        let conversation = Box::new(conversation);
        Ok(match cut {
            Some(reason) => Verdict::Cut(conversation, reason),
            None => Verdict::Keep(conversation),
        })
    }
}

/// Messages of a conversation; a trace without text will have a question and an answer per turn.
fn messages_count(conversation: &Conversation) -> usize {
    match conversation.messages.len() {
        0 => 2 * conversation.recorded.len(),
        count => count,
    }
}

/// Keeps the first turns that have at most `max` messages together, with their answers; how many
/// these are.
fn cut_to_messages(conversation: &mut Conversation, max: usize) -> usize {
    let turns = if conversation.messages.is_empty() {
        conversation.recorded.len().min(max / 2)
    } else {
        let spans = conversation.turns(TurnRules::default());
        spans.iter().take_while(|span| turn_end(span) <= max).count()
    };
    cut_to_turns(conversation, turns);
    turns
}

/// Keeps the first `turns` turns, with their answers.
fn cut_to_turns(conversation: &mut Conversation, turns: usize) {
    let spans = conversation.turns(TurnRules::default());
    match turns.checked_sub(1) {
        None => conversation.messages.clear(),
        Some(last) => {
            if let Some(span) = spans.get(last) {
                conversation.messages.truncate(turn_end(span));
            }
        }
    }
    conversation.recorded.truncate(turns);
}

/// Messages up to the end of a turn, its answer included.
fn turn_end(span: &TurnSpan) -> usize {
    span.answer.map_or(span.messages.end, |answer| answer + 1)
}

/// The first turn (from 0) whose prompt and answer have more than `max` tokens.
fn first_turn_over(
    conversation: &Conversation,
    max: u64,
    tokenizer: Option<&dyn Tokenizer>,
) -> Result<Option<usize>, WorkloadError> {
    if conversation.messages.is_empty() {
        let tokens = |turn: &turnbench_model::RecordedTurn| {
            u64::from(turn.prompt_tokens.unwrap_or(0)) + u64::from(turn.max_tokens.unwrap_or(0))
        };
        return Ok(conversation.recorded.iter().position(|turn| tokens(turn) > max));
    }
    let Some(tokenizer) = tokenizer else { return Ok(None) };
    let mut history = 0;
    for (turn, span) in conversation.turns(TurnRules::default()).into_iter().enumerate() {
        if span.standalone {
            history = 0;
        }
        for message in &conversation.messages[span.messages.clone()] {
            history += message_tokens(message, tokenizer)?;
        }
        let recorded = conversation.recorded_turn(turn);
        let answer = match span.answer {
            Some(answer) => message_tokens(&conversation.messages[answer], tokenizer)?,
            None => 0,
        };
        let prompt = recorded.and_then(|turn| turn.prompt_tokens).map_or(history, u64::from);
        let planned = recorded.and_then(|turn| turn.max_tokens).map_or(answer, u64::from);
        if prompt + planned > max {
            return Ok(Some(turn));
        }
        history += answer;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use turnbench_model::{
        Content, Conversation, Message, RecordedTurn, Tokenizer, TokenizerError,
    };

    use super::{Filters, OverModelLen, Verdict};
    use crate::AsciiFilter;

    /// A token a character.
    struct Characters;

    impl Tokenizer for Characters {
        fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
            Ok(text.chars().map(u32::from).collect())
        }

        fn decode(&self, _: &[u32]) -> Result<String, TokenizerError> {
            Ok(String::new())
        }

        fn vocab_size(&self) -> u32 {
            0x11_0000
        }
    }

    fn judge(filters: Filters, texts: &[&str]) -> (usize, Option<&'static str>) {
        let roles = ["user", "assistant"].into_iter().cycle();
        let messages = roles.zip(texts).map(|(role, text)| Message::new(role, *text)).collect();
        outcome(filters, Conversation::new("c", messages))
    }

    fn outcome(filters: Filters, conversation: Conversation) -> (usize, Option<&'static str>) {
        match filters.judge(conversation, Some(&Characters)).unwrap() {
            Verdict::Keep(kept) => (kept.messages.len(), None),
            Verdict::Cut(kept, reason) => (kept.messages.len(), Some(reason)),
            Verdict::Drop(reason) => (0, Some(reason)),
        }
    }

    #[test]
    fn every_limit_names_itself() {
        let none = Filters::default();
        let four = ["ab", "cde", "f", "ghij"];
        assert_eq!(judge(none, &four), (4, None));
        let drops = |filters, reason| assert_eq!(judge(filters, &four), (0, Some(reason)));
        drops(Filters { min_turns: Some(5), ..none }, "fewer messages than --min-turns");
        drops(Filters { max_turns: Some(1), ..none }, "no whole turn within --max-turns messages");
        let reason = "a message shorter than --min-content-len";
        drops(Filters { min_content_len: Some(2), ..none }, reason);
        let reason = "a message longer than --max-content-len";
        drops(Filters { max_content_len: Some(3), ..none }, reason);
        let reason = "a message of ASCII characters alone (--ascii exclude)";
        drops(Filters { ascii: AsciiFilter::Exclude, ..none }, reason);
        let reason = "a message with other than ASCII characters (--ascii only)";
        let only = Filters { ascii: AsciiFilter::Only, ..none };
        assert_eq!(judge(only, &["a", "é"]), (0, Some(reason)));
        assert_eq!(judge(only, &four), (4, None));
        let reason = "a message of fewer tokens than --min-content-tokens";
        drops(Filters { min_content_tokens: Some(2), ..none }, reason);
        let reason = "a message of more tokens than --max-content-tokens";
        drops(Filters { max_content_tokens: Some(3), ..none }, reason);
        drops(Filters { max_model_len: Some(9), ..none }, "longer than --max-model-len");
        assert_eq!(judge(Filters { max_model_len: Some(10), ..none }, &four), (4, None));
    }

    #[test]
    fn a_cut_conversation_ends_with_an_answer() {
        let four = ["ab", "cde", "f", "ghij"];
        let none = Filters::default();
        assert_eq!(judge(Filters { max_turns: Some(3), ..none }, &four), (2, Some("--max-turns")));
        let cut = Filters { over_model_len: OverModelLen::Cut, ..none };
        let expect = (2, Some("--max-model-len"));
        assert_eq!(judge(Filters { max_model_len: Some(9), ..cut }, &four), expect);
        let expect = (0, Some("longer than --max-model-len"));
        assert_eq!(judge(Filters { max_model_len: Some(4), ..cut }, &four), expect);
    }

    #[test]
    fn a_cut_keeps_whole_turns() {
        let roles = ["user", "assistant", "user", "assistant", "user"];
        let messages: Vec<Message> = roles.iter().map(|role| Message::new(role, "x")).collect();
        let counted = |counts: &[u32]| {
            let turn =
                |&count| RecordedTurn { messages_count: Some(count), ..RecordedTurn::default() };
            let recorded = counts.iter().map(turn).collect();
            Conversation { recorded, ..Conversation::new("c", messages.clone()) }
        };
        let filters = Filters { max_turns: Some(2), ..Filters::default() };
        let nothing = (0, Some("no whole turn within --max-turns messages"));
        assert_eq!(outcome(filters, counted(&[5])), nothing);
        // Questions that are answered live only: each message is a turn.
        let mut questions = counted(&[1, 1, 1, 1, 1]);
        questions.messages = vec![Message::new("user", "q"); 5];
        assert_eq!(outcome(filters, questions), (2, Some("--max-turns")));
        // Answers before the first question belong to its turn.
        let led = ["assistant", "user", "assistant"].map(|role| Message::new(role, "x")).to_vec();
        assert_eq!(outcome(filters, Conversation::new("c", led)), nothing);
    }

    #[test]
    fn limits_of_content_see_lengths_of_traces_and_pass_over_calls() {
        let turn = RecordedTurn::default().with_answer_tokens(10);
        let recorded = vec![RecordedTurn { prompt_tokens: Some(100), ..turn }];
        let trace = Conversation { recorded, ..Conversation::new("c", Vec::new()) };
        let filters = Filters { max_content_tokens: Some(99), ..Filters::default() };
        let reason = "a message of more tokens than --max-content-tokens";
        assert_eq!(outcome(filters, trace.clone()), (0, Some(reason)));
        let filters = Filters { min_content_len: Some(1), ..Filters::default() };
        assert!(outcome(filters, trace).1.unwrap().starts_with("no text that"));
        let mut call = Message::new("assistant", "");
        call.content = Content::Null;
        let messages = vec![Message::new("user", "é"), call];
        let ascii = Filters { ascii: AsciiFilter::Exclude, ..filters };
        assert_eq!(outcome(ascii, Conversation::new("c", messages)), (2, None));
    }

    #[test]
    fn traces_are_judged_by_their_lengths() {
        let turn = |prompt_tokens: u32| {
            let turn = RecordedTurn::default().with_answer_tokens(10);
            RecordedTurn { prompt_tokens: Some(prompt_tokens), ..turn }
        };
        let recorded = vec![turn(100), turn(200)];
        let trace = Conversation { recorded, ..Conversation::new("c", Vec::new()) };
        let filters = Filters { max_model_len: Some(209), ..Filters::default() };
        assert_eq!(outcome(filters, trace.clone()), (0, Some("longer than --max-model-len")));
        let filters = Filters { over_model_len: OverModelLen::Cut, ..filters };
        assert_eq!(outcome(filters, trace), (0, Some("--max-model-len")));
    }
}
