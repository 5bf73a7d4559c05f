use std::collections::BTreeSet;
use std::num::NonZeroU32;

use proptest::prelude::*;
use serde_json::json;
use turnbench_metrics::{BlockReuse, RequestOrder, TokenBasis, WorkloadReport};
use turnbench_model::{
    ChatTemplate, Conversation, Message, Nanos, Parent, RecordedTurn, Tokenizer, TokenizerError,
};

use super::{InspectOptions, inspect};

/// One token for each character.
struct Characters;

impl Tokenizer for Characters {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(text.chars().map(u32::from).collect())
    }

    fn decode(&self, _: &[u32]) -> Result<String, TokenizerError> {
        Err(TokenizerError { message: "not asked for".to_owned() })
    }

    fn vocab_size(&self) -> u32 {
        u32::MAX
    }
}

/// `<u>text` for each message, then `<a>`; messages with `!` are rejected.
struct Tags;

impl ChatTemplate for Tags {
    fn render(
        &self,
        messages: &[Message],
        _tools: Option<&serde_json::Value>,
    ) -> Result<String, TokenizerError> {
        let mut text = String::new();
        for message in messages {
            let content = message.content.text();
            if content.contains('!') {
                return Err(TokenizerError { message: "!".to_owned() });
            }
            text.extend(["<", &message.role[..1], ">", &content]);
        }
        Ok(text + "<a>")
    }
}

fn sizes(sizes: &[u32]) -> Vec<NonZeroU32> {
    sizes.iter().map(|&size| NonZeroU32::new(size).unwrap()).collect()
}

fn look(conversations: &[Conversation], block_sizes: &[u32], template: bool) -> WorkloadReport {
    look_with(conversations, block_sizes, template, Some(&Characters))
}

fn look_with(
    conversations: &[Conversation],
    block_sizes: &[u32],
    template: bool,
    tokenizer: Option<&dyn Tokenizer>,
) -> WorkloadReport {
    let template: Option<&dyn ChatTemplate> = if template { Some(&Tags) } else { None };
    let options = InspectOptions {
        file: "f",
        format: "x",
        tokenizer,
        tokenizer_name: "characters",
        template,
        block_sizes: &sizes(block_sizes),
        progress: &|| {},
    };
    inspect(conversations, &options).unwrap()
}

/// Messages of users and assistants in turn.
fn conversation(texts: &[&str]) -> Conversation {
    let role = |at: usize| if at.is_multiple_of(2) { "user" } else { "assistant" };
    let messages = texts.iter().enumerate().map(|(at, text)| Message::new(role(at), *text));
    Conversation::new("c", messages.collect())
}

fn tiny() -> Vec<Conversation> {
    vec![
        conversation(&["aaaabb", "cc", "dddd", "ee"]),
        conversation(&["aaaabbccx", "y"]),
        conversation(&["aaaa"]),
    ]
}

fn reuse(block_size: u32, tokens: [u64; 5]) -> BlockReuse {
    let [requests, prompt_tokens, distinct_tokens, own_history_tokens, any_request_tokens] = tokens;
    BlockReuse {
        block_size,
        requests,
        prompt_tokens,
        distinct_tokens,
        own_history_tokens,
        any_request_tokens,
        own_history_ratio: None,
        any_request_ratio: None,
        answers_cached: true,
    }
    .with_ratios()
}

#[test]
fn a_small_workload_gives_the_numbers_counted_by_hand() {
    let report = look(&tiny(), &[8, 4, 4], false);
    // Blocks of 4: the second prompt, aaaa bbcc dddd, finds its first two blocks (the answer cc
    // completes one); aaaa bbcc x finds both; of aaaa the last token is computed, so that nothing
    // is left to find. Distinct: aaaa, bbcc, dddd and the tail x.
    // Blocks of 8: aaaabbcc is found twice; the tails are dddd, x and aaaa (aaaabb is continued).
    let expect = [reuse(4, [4, 31, 13, 8, 16]), reuse(8, [4, 31, 17, 8, 16])];
    assert_eq!(report.reuse, expect);
    assert_eq!((report.conversations, report.requests, report.messages), (3, 4, 7));
    assert_eq!(report.order, RequestOrder::File);
    assert_eq!(report.token_basis, TokenBasis::Messages { tokenizer: "characters".to_owned() });
    let roles: Vec<_> = report.roles.iter().map(|role| (&*role.role, role.messages)).collect();
    assert_eq!(roles, [("user", 4), ("assistant", 3)]);
    assert_eq!(report.message_tokens.total, 28.0);
    let growth: Vec<_> = report
        .growth
        .iter()
        .map(|turn| (turn.requests, turn.own_history_ratio, turn.any_request_ratio))
        .collect();
    assert_eq!(growth, [(3, Some(0.0), Some(8.0 / 19.0)), (1, Some(8.0 / 12.0), Some(8.0 / 12.0))]);
    assert_eq!(report.growth[1].new_tokens.max, Some(4.0));
    assert_eq!(report.answer_tokens.describe.count, 3);
}

#[test]
fn tools_stand_before_every_prompt_and_calls_are_tokens_too() {
    let mut with_tools = conversation(&["q", ""]);
    with_tools.request.insert("tools".to_owned(), json!([1]));
    let calls = json!([{"function": {"name": "f", "arguments": "{}"}}]);
    with_tools.messages[1].extra.insert("tool_calls".to_owned(), calls);
    let report = look(&[with_tools], &[4], false);
    assert_eq!(report.prompt_tokens.total, 4.0, "[1]q");
    assert_eq!((report.new_tokens.total, report.answer_tokens.total), (4.0, 3.0));
}

#[test]
fn a_chat_template_renders_each_prompt() {
    let talks = [conversation(&["aa", "b", "cc"]), conversation(&["no!"])];
    let report = look(&talks, &[4], true);
    let basis =
        TokenBasis::ChatTemplate { tokenizer: "characters".to_owned(), rejected_conversations: 1 };
    assert_eq!(report.token_basis, basis);
    // "<u>aa<a>", "<u>aa<a>b<u>cc<a>" (with the first prompt's two blocks at its beginning) and
    // "no!" as it is.
    assert_eq!(report.reuse, [reuse(4, [3, 8 + 17 + 3, 8 + 8 + 1 + 3, 8, 8])]);
}

#[test]
fn standalone_turns_share_only_what_is_the_same() {
    let standalone = || RecordedTurn { standalone: true, ..RecordedTurn::default() };
    let talk = Conversation {
        recorded: vec![standalone(), standalone()],
        ..conversation(&["aaaabbbb", "c", "aaaad", "e"])
    };
    let report = look(&[talk], &[4], false);
    assert_eq!(report.reuse, [reuse(4, [2, 13, 9, 4, 4])]);
    assert_eq!(report.new_tokens.describe.count, 1, "the first turn's");
}

#[test]
fn requests_with_times_are_taken_by_time() {
    let at = |ms| RecordedTurn { sent_at_ns: Some(Nanos::from_millis(ms)), ..Default::default() };
    let late = Conversation { recorded: vec![at(5)], ..conversation(&["aaaax"]) };
    let early = Conversation { recorded: vec![at(1)], ..conversation(&["aaaabbbby"]) };
    let report = look(&[late.clone(), early], &[4], false);
    assert_eq!(report.order, RequestOrder::SentTime);
    let any: Vec<_> = report.reuse.iter().map(|one| one.any_request_tokens).collect();
    assert_eq!(any, [4]);
    assert_eq!(report.times.arrivals.unwrap().span_sec, 0.004);
    assert_eq!(look(&[late, conversation(&["q"])], &[4], false).order, RequestOrder::File);
}

fn named(prompt: u32, answer: u32, hash_ids: &[u64]) -> RecordedTurn {
    let known = RecordedTurn {
        prompt_tokens: Some(prompt),
        hash_ids: hash_ids.to_vec(),
        standalone: true,
        ..RecordedTurn::default()
    };
    known.with_answer_tokens(answer)
}

#[test]
fn a_trace_is_reported_from_its_block_names() {
    let trace = |recorded| Conversation {
        recorded,
        hash_block_size: Some(10),
        ..Conversation::new("t", Vec::new())
    };
    let conversations = [
        trace(vec![named(25, 7, &[1, 2, 3]), named(40, 7, &[1, 2, 4, 5])]),
        // The same name after other blocks is another block; a tail that is named alike counts
        // once; ids that are missing are no blocks.
        trace(vec![named(25, 1, &[1, 2, 3]), named(20, 1, &[9, 2]), named(30, 1, &[9])]),
        trace(vec![named(5, 1, &[])]),
    ];
    let report = look(&conversations, &[16], false);
    let expect = BlockReuse { answers_cached: false, ..reuse(10, [5, 140, 85, 30, 50]) };
    assert_eq!(report.reuse, [expect]);
    assert_eq!(report.token_basis, TokenBasis::BlockNames);
    assert_eq!((report.requests, report.messages, report.prompt_tokens.total), (6, 0, 145.0));
    assert_eq!(report.answer_tokens.total, 18.0);
    assert!(report.roles.is_empty() && report.messages_per_conversation.describe.count == 0);
}

#[test]
fn a_partial_block_that_the_next_prompt_completes_counts_once() {
    let trace = |recorded| Conversation {
        recorded,
        hash_block_size: Some(16),
        ..Conversation::new("t", Vec::new())
    };
    let distinct = |turns| look(&[trace(turns)], &[16], false).reuse[0].distinct_tokens;
    assert_eq!(distinct(vec![named(20, 1, &[1, 2]), named(40, 1, &[1, 2, 3])]), 40);
    assert_eq!(distinct(vec![named(20, 1, &[1, 2]), named(40, 1, &[1, 9, 3])]), 44);
    assert_eq!(distinct(vec![named(20, 1, &[1])]), 20);
}

#[test]
fn lengths_alone_tell_no_sharing() {
    let limit = RecordedTurn { max_tokens: Some(9), ..named(6, 1, &[]) };
    let parent = Some(Parent { id: "p".to_owned(), after_turn: 1, before_turn: None });
    let recorded = vec![named(5, 3, &[]), limit];
    let lengths = Conversation { recorded, parent, ..Conversation::new("t", Vec::new()) };
    let report = look_with(&[lengths], &[16], false, None);
    assert_eq!((report.token_basis, report.reuse.len()), (TokenBasis::Lengths, 0));
    assert_eq!((report.prompt_tokens.total, report.answer_tokens.total), (11.0, 3.0));
    assert_eq!((report.sub_conversations, report.growth[0].own_history_ratio), (1, None));
}

#[test]
fn without_a_tokenizer_messages_are_counted_and_tokens_not() {
    let report = look_with(&tiny(), &[4], false, None);
    assert_eq!((report.requests, report.messages, report.reuse.len()), (4, 7, 0));
    assert_eq!(report.token_basis, TokenBasis::None);
    assert_eq!((report.message_tokens.describe.count, report.roles[0].messages), (0, 4));
}

#[test]
fn nothing_is_a_workload_too() {
    for conversations in [vec![], vec![Conversation::new("empty", Vec::new())]] {
        let report = look(&conversations, &[4], false);
        assert_eq!((report.requests, report.reuse.len()), (0, 0));
    }
}

/// Every prefix that a cache holds, token by token.
#[derive(Default)]
struct SlowCache {
    cached: BTreeSet<Vec<u32>>,
    distinct: BTreeSet<Vec<u32>>,
}

impl SlowCache {
    fn request(&mut self, prompt: &[u32], answer: &[u32], size: usize, continued: bool) -> u64 {
        let is_cached = |end: &usize| self.cached.contains(&prompt[..*end]);
        let hit = (size..prompt.len()).step_by(size).take_while(is_cached).last().unwrap_or(0);
        let whole = [prompt, answer].concat();
        for end in (size..=whole.len()).step_by(size) {
            self.cached.insert(whole[..end].to_vec());
        }
        for end in (size..=prompt.len()).step_by(size) {
            self.distinct.insert(prompt[..end].to_vec());
        }
        if !continued {
            self.distinct.insert(prompt.to_vec());
        }
        hit as u64
    }

    fn distinct_tokens(&self, size: usize) -> u64 {
        let last_block = |prefix: &Vec<u32>| match prefix.len() % size {
            0 => size.min(prefix.len()),
            rest => rest,
        };
        self.distinct.iter().map(last_block).sum::<usize>() as u64
    }
}

/// Turns (prompt, answer, whether the next prompt continues it) of a conversation, spelled out.
fn slow_turns(conversation: &Conversation) -> Vec<(Vec<u32>, Vec<u32>, bool)> {
    let mut turns: Vec<(Vec<u32>, Vec<u32>, bool)> = Vec::new();
    let mut history = Vec::new();
    for (turn, pair) in conversation.messages.chunks(2).enumerate() {
        let ids = |at: usize| {
            pair.get(at).map_or(vec![], |one| Characters.encode(&one.content.text()).unwrap())
        };
        let standalone = conversation.recorded.get(turn).is_some_and(|one| one.standalone);
        if standalone {
            history.clear();
        } else if let Some(before) = turns.last_mut() {
            before.2 = true;
        }
        history.extend(ids(0));
        turns.push((history.clone(), ids(1), false));
        history.extend(ids(1));
    }
    turns
}

fn slow_reuse(conversations: &[Conversation], size: u32) -> BlockReuse {
    let mut all = SlowCache::default();
    let mut sums = [0; 5];
    for conversation in conversations {
        let mut own = SlowCache::default();
        for (prompt, answer, continued) in slow_turns(conversation) {
            sums[0] += 1;
            sums[1] += prompt.len() as u64;
            sums[3] += own.request(&prompt, &answer, size as usize, continued);
            sums[4] += all.request(&prompt, &answer, size as usize, continued);
        }
    }
    sums[2] = all.distinct_tokens(size as usize);
    reuse(size, sums)
}

prop_compose! {
    fn any_conversation()(
        texts in prop::collection::vec("[ab]{0,9}", 1..8),
        standalone in prop::collection::vec(prop::bool::weighted(0.2), 4),
    ) -> Conversation {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let turn = |standalone| RecordedTurn { standalone, ..RecordedTurn::default() };
        Conversation { recorded: standalone.into_iter().map(turn).collect(), ..conversation(&texts) }
    }
}

proptest! {
    #[test]
    fn reuse_is_that_of_a_cache_of_token_prefixes(
        conversations in prop::collection::vec(any_conversation(), 1..8),
        block_sizes in prop::collection::btree_set(1_u32..9, 1..4),
    ) {
        let block_sizes: Vec<u32> = block_sizes.into_iter().collect();
        let report = look(&conversations, &block_sizes, false);
        let slow: Vec<_> = block_sizes.iter().map(|&size| slow_reuse(&conversations, size)).collect();
        prop_assert_eq!(report.reuse, slow);
    }
}
