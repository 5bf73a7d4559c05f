use turnbench_model::{Conversation, Tokenizer, TurnRules};

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

/// Whether messages of ASCII characters alone are wanted: few languages but English are written so.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AsciiFilter {
    /// They may be so or not.
    #[default]
    Any,
    /// Every message of a conversation must be so.
    Only,
    /// No message of a conversation may be so, as in the reference's converter.
    Exclude,
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
            cut_to_messages(&mut conversation, max as usize);
            if messages_count(&conversation) == 0 {
                return Ok(Verdict::Drop("no answer within --max-turns messages"));
            }
            cut = Some("--max-turns");
        }
        if let Some(reason) = self.content_too_short_or_long(&conversation, tokenizer)? {
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

    fn content_too_short_or_long(
        &self,
        conversation: &Conversation,
        tokenizer: Option<&dyn Tokenizer>,
    ) -> Result<Option<&'static str>, WorkloadError> {
        if self.min_content_len.is_some() || self.max_content_len.is_some() {
            for message in &conversation.messages {
                let length = message.content.text().chars().count() as u64;
                if self.min_content_len.is_some_and(|min| length < min) {
                    return Ok(Some("a message shorter than --min-content-len"));
                }
                if self.max_content_len.is_some_and(|max| length > max) {
                    return Ok(Some("a message longer than --max-content-len"));
                }
            }
        }
        if let Some(reason) = self.ascii.refuses(conversation) {
            return Ok(Some(reason));
        }
        let Some(tokenizer) = tokenizer else { return Ok(None) };
        if self.min_content_tokens.is_some() || self.max_content_tokens.is_some() {
            for message in &conversation.messages {
                let tokens = message_tokens(message, tokenizer)?;
                if self.min_content_tokens.is_some_and(|min| tokens < min) {
                    return Ok(Some("a message of fewer tokens than --min-content-tokens"));
                }
                if self.max_content_tokens.is_some_and(|max| tokens > max) {
                    return Ok(Some("a message of more tokens than --max-content-tokens"));
                }
            }
        }
        Ok(None)
    }
}

impl AsciiFilter {
    fn refuses(self, conversation: &Conversation) -> Option<&'static str> {
        let unwanted = match self {
            Self::Any => return None,
            Self::Only => false,
            Self::Exclude => true,
        };
        let is_unwanted =
            |message: &turnbench_model::Message| message.content.text().is_ascii() == unwanted;
        let found = conversation.messages.iter().any(is_unwanted);
        found.then_some(if unwanted {
            "a message of ASCII characters alone (--ascii exclude)"
        } else {
            "a message with other than ASCII characters (--ascii only)"
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

/// Keeps at most `max` messages, ending with an answer.
fn cut_to_messages(conversation: &mut Conversation, max: usize) {
    if conversation.messages.is_empty() {
        conversation.recorded.truncate(max / 2);
        return;
    }
    let answered = conversation.messages[..max.min(conversation.messages.len())]
        .iter()
        .rposition(turnbench_model::Message::is_assistant);
    conversation.messages.truncate(answered.map_or(0, |place| place + 1));
    let turns = conversation.turns(TurnRules::default()).len();
    conversation.recorded.truncate(turns);
}

/// Keeps the first `turns` turns.
fn cut_to_turns(conversation: &mut Conversation, turns: usize) {
    let spans = conversation.turns(TurnRules::default());
    if let Some(span) = spans.get(turns) {
        conversation.messages.truncate(span.messages.start);
    }
    conversation.recorded.truncate(turns);
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
    use turnbench_model::{Conversation, Message, RecordedTurn, Tokenizer, TokenizerError};

    use super::{AsciiFilter, Filters, OverModelLen, Verdict};

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
        drops(Filters { max_turns: Some(1), ..none }, "no answer within --max-turns messages");
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
