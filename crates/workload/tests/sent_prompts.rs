//! The prompts of a run, made anew from its records.
#![allow(clippy::unwrap_used, reason = "test code")]

use proptest::prelude::{any, prop, proptest};
use serde_json::Value;
use turnbench_metrics::{BlockSizeSource, PromptFacts, TokenBasis};
use turnbench_model::{
    Answer, ChatTemplate, Conversation, Failure, FailureKind, HistoryReasoning, Message, Nanos,
    Outcome, Phase, Received, RequestRecord, SentBlocks, StampSource, Stamps, Tokenizer,
    TokenizerError, TurnRules, Usage,
};
use turnbench_workload::{PromptSource, RunBlocks, SentOptions, SentPrompts, run_reuse};

/// A token for each byte.
struct Bytes;

impl Tokenizer for Bytes {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(text.bytes().map(u32::from).collect())
    }

    fn decode(&self, _ids: &[u32]) -> Result<String, TokenizerError> {
        Ok(String::new())
    }

    fn vocab_size(&self) -> u32 {
        256
    }
}

/// `[role:text]` for each message, `[` for the answer; refuses the word "no".
struct Brackets;

impl ChatTemplate for Brackets {
    fn render(
        &self,
        messages: &[Message],
        tools: Option<&Value>,
    ) -> Result<String, TokenizerError> {
        let mut text = tools.map(ToString::to_string).unwrap_or_default();
        for message in messages {
            if message.content.text() == "no" {
                return Err(TokenizerError { message: "refused".to_owned() });
            }
            text.extend(["[", &message.role, ":", &message.content.text(), "]"]);
        }
        Ok(text + "[assistant:")
    }
}

fn conversation(id: &str, questions: &[&str]) -> Conversation {
    let messages = questions.iter().flat_map(|question| {
        [Message::new("user", *question), Message::new("assistant", "recorded")]
    });
    Conversation::new(id, messages.collect())
}

fn at(ns: u64) -> Received {
    Received { at_ns: Nanos(ns), read_ns: Nanos(ns), source: StampSource::Kernel }
}

/// A completed attempt, sent at `sent` and answered 10 ns later within 20.
fn record(conversation: u32, turn: u32, sent: u64, answer: &str) -> RequestRecord {
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
        outcome: Outcome::Completed,
        stamps: Stamps {
            sent_ns: Some(Nanos(sent)),
            first_token: Some(at(sent + 10)),
            end: Some(at(sent + 20)),
            ..Stamps::default()
        },
        answer: Answer { content: answer.to_owned(), ..Answer::default() },
        usage: None,
        server_times: None,
        reconnects_count: 0,
        reads_count: 0,
        client_delay_max_ns: None,
    }
}

fn failed(mut record: RequestRecord) -> RequestRecord {
    record.outcome = Outcome::Failed(Failure {
        kind: FailureKind::Timeout,
        status: None,
        message: String::new(),
        retry_after_ns: None,
    });
    record.last_attempt = false;
    record
}

fn options(source: PromptSource<'_>) -> SentOptions<'_> {
    let (rules, reasoning) = (TurnRules::default(), HistoryReasoning::Drop);
    SentOptions { rules, reasoning, source, block_tokens: 4 }
}

fn blocks(all: &[Conversation], records: &[RequestRecord]) -> Vec<Option<SentBlocks>> {
    let mut prompts = SentPrompts::new(all, options(PromptSource::Template(&Bytes, &Brackets)));
    prompts.blocks(records).unwrap()
}

/// The names that each line stands for, of one conversation.
fn names(lines: &[Option<SentBlocks>]) -> Vec<Vec<u64>> {
    let mut before: Vec<u64> = Vec::new();
    let all = lines.iter().flatten().map(|line| {
        before.truncate(line.kept as usize);
        before.extend(&line.names);
        before.clone()
    });
    all.collect()
}

#[test]
fn a_prompt_is_what_the_template_makes_of_the_history_that_was_sent() {
    let all = [conversation("c", &["one", "two"])];
    let lines = blocks(&all, &[record(0, 1, 0, "hello"), record(0, 2, 100, "world")]);
    let first = "[user:one][assistant:";
    let second = "[user:one][assistant:hello][user:two][assistant:";
    let lengths: Vec<_> = lines.iter().flatten().map(|line| line.prompt_tokens as usize).collect();
    assert_eq!(lengths, [first.len(), second.len()]);
    // An answer's last token is never computed.
    let left = |line: &Option<SentBlocks>| line.as_ref().unwrap().left_tokens as usize;
    assert_eq!((left(&lines[0]), left(&lines[1])), (first.len() + 4, second.len() + 4));
    let names = names(&lines);
    assert_eq!(names[0].len(), (first.len() + 4) / 4);
    assert!(names[1].starts_with(&names[0]), "the history goes on where the answer ended");
}

#[test]
fn an_answer_counts_as_far_as_its_ids_are_known() {
    let all = [conversation("c", &["one"])];
    let left = |record: RequestRecord| {
        let line = blocks(&all, &[record])[0].clone().unwrap();
        line.left_tokens - line.prompt_tokens
    };
    let generated = |tokens| {
        let usage = Usage { completion_tokens: Some(tokens), ..Usage::default() };
        RequestRecord { usage: Some(usage), ..record(0, 1, 0, "hello") }
    };
    assert_eq!(left(record(0, 1, 0, "hello")), 4);
    // With the token that ended it, all of the text was computed.
    assert_eq!(left(generated(6)), 5);
    assert_eq!(left(generated(5)), 4);
    let mut thinking = record(0, 1, 0, "hello");
    thinking.answer.reasoning = "hm".to_owned();
    assert_eq!(left(thinking), 0);
    assert_eq!(left(failed(record(0, 1, 0, "hel"))), 0);
}

#[test]
fn tools_stand_where_the_template_puts_them_and_salts_keep_blocks_apart() {
    let mut with_tools = conversation("c", &["one"]);
    with_tools.request.insert("tools".to_owned(), serde_json::json!([{"a": 1}]));
    let line = blocks(&[with_tools], &[record(0, 1, 0, "x")])[0].clone().unwrap();
    assert_eq!(line.prompt_tokens as usize, "[{\"a\":1}][user:one][assistant:".len());
    let salted = |salt: Option<&str>| {
        let mut one = conversation("c", &["one"]);
        if let Some(salt) = salt {
            one.request.insert("cache_salt".to_owned(), salt.into());
        }
        blocks(&[one], &[record(0, 1, 0, "x")])[0].clone().unwrap().names
    };
    let (none, a, b) = (salted(None), salted(Some("a")), salted(Some("b")));
    assert!(none != a && a != b && none.len() == a.len());
}

#[test]
fn what_the_template_refuses_stands_message_after_message() {
    let all = [conversation("c", &["no", "yes"]), conversation("d", &["yes"])];
    let mut prompts = SentPrompts::new(&all, options(PromptSource::Template(&Bytes, &Brackets)));
    let records = [record(0, 1, 0, "why"), record(1, 1, 5, "x"), record(0, 2, 50, "well")];
    let lines = prompts.blocks(&records).unwrap();
    assert_eq!(lines[0].as_ref().unwrap().prompt_tokens, 2);
    assert_eq!(lines[2].as_ref().unwrap().prompt_tokens as usize, "nowhyyes".len());
    assert_eq!(prompts.rejected_conversations(), 1);
}

/// Ideal, own history, late ideal and rounding of each record.
fn reuse(all: &[Conversation], records: &[RequestRecord]) -> Vec<Option<[u64; 4]>> {
    let lines = blocks(all, records);
    let mut run = RunBlocks::default();
    for (record, line) in records.iter().zip(&lines) {
        run.add(record, line.as_ref(), 4);
    }
    let basis = TokenBasis::Server;
    let facts = PromptFacts {
        basis: basis.clone(),
        block_tokens: 4,
        block_size_source: BlockSizeSource::Flag,
    };
    let found = run_reuse(&run.finish(basis, 4), facts, None, None);
    let of_request = |one: &Option<turnbench_metrics::ReusableTokens>| {
        one.map(|one| [one.ideal, one.own_history, one.late_ideal, one.rounded])
    };
    found.requests.iter().map(of_request).collect()
}

#[test]
fn what_could_be_reused_respects_who_was_there_first() {
    let all =
        [conversation("c", &["the same question"]), conversation("d", &["the same question"])];
    let prompt = "[user:the same question][assistant:".len() as u64;
    let full = (prompt - 1) / 4 * 4;
    let after = reuse(&all, &[record(0, 1, 0, "x"), record(1, 1, 50, "x")]);
    assert_eq!(after, [Some([0, 0, 0, 0]), Some([full, 0, full, 0])]);
    // Sent while the other one was computed, and answered after it.
    let meanwhile = reuse(&all, &[record(0, 1, 0, "x"), record(1, 1, 5, "x")]);
    assert_eq!(meanwhile, [Some([0, 0, 0, 0]), Some([0, 0, full, 0])]);
}

#[test]
fn a_retry_finds_what_its_first_try_left_if_that_was_answered_at_all() {
    let all = [conversation("c", &["the question"])];
    let full = ("[user:the question][assistant:".len() as u64 - 1) / 4 * 4;
    let begun = failed(record(0, 1, 0, "x"));
    let found = reuse(&all, &[begun.clone(), record(0, 1, 100, "x")]);
    assert_eq!(found[1].map(|found| found[0]), Some(full));
    let mut unanswered = begun;
    unanswered.stamps.first_token = None;
    let found = reuse(&all, &[unanswered, record(0, 1, 100, "x")]);
    assert_eq!((found[0], found[1].map(|found| found[0])), (None, Some(0)));
}

#[test]
fn what_fills_no_block_is_rounding() {
    let all = [conversation("c", &["one", "two"])];
    let found = reuse(&all, &[record(0, 1, 0, "hello"), record(0, 2, 100, "x")]);
    let left = "[user:one][assistant:".len() as u64 + 4;
    let ideal = left / 4 * 4;
    assert_eq!(found[1], Some([ideal, ideal, ideal, left - ideal]));
}

proptest! {
    #[test]
    fn batches_make_no_difference(
        order in prop::collection::vec(0..3_u32, 1..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let questions = ["a", "bb", "no", "dddd", "e", "ff", "g"];
        let all = [0, 1, 2].map(|shift| conversation("c", &questions[shift..]));
        let mut turns = [0; 3];
        let records: Vec<RequestRecord> = order
            .iter()
            .zip(0..)
            .filter_map(|(&conversation, place)| {
                let turn = &mut turns[conversation as usize];
                *turn += 1;
                (*turn <= 5).then(|| record(conversation, *turn, place * 100, "answer"))
            })
            .collect();
        let whole = blocks(&all, &records);
        let mut prompts =
            SentPrompts::new(&all, options(PromptSource::Template(&Bytes, &Brackets)));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(records.len() + 1)).collect();
        cuts.push(records.len());
        cuts.sort_unstable();
        let (mut parts, mut start) = (Vec::new(), 0);
        for cut in cuts {
            parts.extend(prompts.blocks(&records[start..cut]).unwrap());
            start = cut;
        }
        assert_eq!(parts, whole);
    }
}
