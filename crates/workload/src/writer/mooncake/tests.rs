use std::sync::Arc;

use serde_json::json;
use turnbench_model::{Conversation, Message, Nanos, RecordedTurn, Tokenizer, TokenizerError};

use crate::writer::testing::{check as check_rows, text_of, try_written, written};
use crate::writer::{Target, WriterOptions};

/// Each character is a token.
struct Characters;

impl Tokenizer for Characters {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        if text.contains('!') {
            return Err(TokenizerError { message: "no !".to_owned() });
        }
        Ok(text.chars().map(u32::from).collect())
    }

    fn decode(&self, _ids: &[u32]) -> Result<String, TokenizerError> {
        Ok(String::new())
    }

    fn vocab_size(&self) -> u32 {
        1 << 21
    }
}

fn options(block_size: u32) -> WriterOptions {
    WriterOptions { tokenizer: Some(Arc::new(Characters)), block_size, ..WriterOptions::default() }
}

fn without_tokenizer(block_size: u32) -> WriterOptions {
    WriterOptions { block_size, ..WriterOptions::default() }
}

/// Checks rows, given without the size of their blocks.
fn check(options: WriterOptions, conversations: &[Conversation], rows: &[&str], lost: &[&str]) {
    let block_size = options.block_size;
    let with_size = |row: &&str| match row
        .find("], ")
        .map(|end| end + 1)
        .or(row.rfind("]}").map(|end| end + 1))
    {
        Some(end) if block_size != 512 => {
            format!("{}, \"block_size\": {block_size}{}", &row[..end], &row[end..])
        }
        _ => (*row).to_owned(),
    };
    let rows: Vec<String> = rows.iter().map(with_size).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    check_rows(Target::Mooncake, options, conversations, &rows, lost);
}

fn of_texts(id: &str, texts: &[&str]) -> Conversation {
    let roles = ["user", "assistant"].into_iter().cycle();
    Conversation::new(id, roles.zip(texts).map(|(role, text)| Message::new(role, *text)).collect())
}

fn traced(prompt: u32, answer: u32, hash_ids: &[u64]) -> RecordedTurn {
    let hash_ids = hash_ids.to_vec();
    let turn = RecordedTurn { prompt_tokens: Some(prompt), hash_ids, ..RecordedTurn::default() };
    turn.with_answer_tokens(answer)
}

fn trace(id: &str, block_size: u32, recorded: Vec<RecordedTurn>) -> Conversation {
    let hash_block_size = Some(block_size);
    Conversation { recorded, hash_block_size, ..Conversation::new(id, Vec::new()) }
}

#[test]
fn prompts_grow_by_what_was_recorded_and_share_their_blocks() {
    let conversations =
        [of_texts("a", &["abcd", "ef", "ghij", "k"]), of_texts("row-1", &["abcdX", "yz"])];
    check(
        options(2),
        &conversations,
        &[
            r#"{"session_id": "a", "input_length": 4, "output_length": 2, "hash_ids": [0, 1]}"#,
            r#"{"session_id": "a", "input_length": 10, "output_length": 1, "hash_ids": [0, 1, 2, 3, 4]}"#,
            r#"{"input_length": 5, "output_length": 2, "hash_ids": [0, 1, 5]}"#,
        ],
        &["texts of messages: 6"],
    );
}

#[test]
fn a_standalone_turn_is_a_prompt_of_its_own() {
    let alone = RecordedTurn { standalone: true, ..RecordedTurn::default() };
    let recorded = vec![RecordedTurn::default(), alone, RecordedTurn::default()];
    let conversation = Conversation { recorded, ..of_texts("a", &["ab", "c", "ab", "d", "e"]) };
    check(
        options(2),
        &[conversation],
        &[
            r#"{"session_id": "a", "input_length": 2, "output_length": 1, "hash_ids": [0]}"#,
            r#"{"session_id": "a", "input_length": 2, "output_length": 1, "hash_ids": [0]}"#,
            r#"{"session_id": "a", "input_length": 4, "hash_ids": [0, 1]}"#,
        ],
        &["texts of messages: 5"],
    );
}

#[test]
fn reasoning_and_tool_calls_are_tokens_of_a_prompt() {
    let mut conversation = of_texts("a", &["q", "", "r"]);
    let call = json!({"function": {"name": "f", "arguments": "{}"}});
    conversation.messages[1].extra =
        [("reasoning_content", json!("why")), ("tool_calls", json!([call]))]
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect();
    let text = text_of(Target::Mooncake, options(100), &[conversation]);
    let lengths: Vec<_> = text.lines().map(|row| &row[20..row.find(", \"hash").unwrap()]).collect();
    assert_eq!(lengths, ["\"input_length\": 1, \"output_length\": 6", "\"input_length\": 8"]);
}

#[test]
fn names_of_the_same_size_are_kept_as_they_are() {
    let first = RecordedTurn { sent_at_ns: Some(Nanos(3_000_000_000)), ..traced(600, 7, &[9, 4]) };
    let second = RecordedTurn { think_time_ns: Some(Nanos(1_500_000)), ..traced(10, 1, &[3]) };
    check(
        without_tokenizer(512),
        &[trace("row-0", 512, vec![first.clone()]), trace("row-1", 512, vec![first, second])],
        &[
            r#"{"timestamp": 3000, "input_length": 600, "output_length": 7, "hash_ids": [9, 4]}"#,
            r#"{"session_id": "row-1", "timestamp": 3000, "input_length": 600, "output_length": 7, "hash_ids": [9, 4]}"#,
            r#"{"session_id": "row-1", "delay": 1.5, "input_length": 10, "output_length": 1, "hash_ids": [3]}"#,
        ],
        &[],
    );
}

#[test]
fn smaller_blocks_are_joined_where_they_fit() {
    let conversations = [
        trace("row-0", 16, vec![traced(70, 1, &[1, 2, 3, 4, 5])]),
        trace("row-1", 16, vec![traced(60, 1, &[1, 2, 3, 9])]),
    ];
    check(
        without_tokenizer(32),
        &conversations,
        &[
            r#"{"input_length": 70, "output_length": 1, "hash_ids": [0, 1, 2]}"#,
            r#"{"input_length": 60, "output_length": 1, "hash_ids": [0, 3]}"#,
        ],
        &["what smaller blocks of turns share (--block-size is larger than the trace's): 2"],
    );
    let error = try_written(Target::Mooncake, without_tokenizer(24), &conversations).unwrap_err();
    assert_eq!(
        error.to_string(),
        "conversation \"row-0\" has names of blocks of 16 tokens, allowed for --block-size is a \
         multiple of it, seen is 24"
    );
}

#[test]
fn text_made_for_a_trace_needs_no_tokenizer_where_everything_is_known() {
    let conversation = Conversation {
        hash_block_size: Some(2),
        recorded: vec![traced(3, 2, &[8, 9])],
        ..of_texts("row-5", &["abc", "de"])
    };
    let row = r#"{"input_length": 3, "output_length": 2, "hash_ids": [8, 9]}"#;
    check(
        without_tokenizer(2),
        std::slice::from_ref(&conversation),
        &[row],
        &["texts of messages: 2"],
    );
    // Another size of blocks comes from the text.
    let row = r#"{"input_length": 3, "output_length": 2, "hash_ids": [0]}"#;
    check(options(3), &[conversation], &[row], &["texts of messages: 2"]);
}

#[test]
fn what_a_row_does_not_hold_is_counted() {
    let turn = RecordedTurn {
        model: Some("m".to_owned()),
        latency_ns: Some(Nanos(1)),
        prompt_tokens: Some(9),
        min_tokens: Some(1),
        max_tokens: Some(2),
        ..RecordedTurn::default()
    };
    let request = [("top_k".to_owned(), json!(1))].into_iter().collect();
    let text = Conversation { recorded: vec![turn], request, ..of_texts("text", &["ab"]) };
    let lengths = RecordedTurn { max_tokens: Some(2), ..RecordedTurn::default() };
    let unknown =
        Conversation { recorded: vec![lengths], ..Conversation::new("row-2", Vec::new()) };
    check(
        options(2),
        &[
            trace("row-0", 2, vec![traced(2, 2, &[7])]),
            text,
            unknown,
            of_texts("row-3", &[""]),
            Conversation::new("b", Vec::new()),
            Conversation::new("c", vec![Message::new("system", "s")]),
        ],
        &[
            r#"{"input_length": 2, "output_length": 2, "hash_ids": [7]}"#,
            r#"{"request_id": "text", "input_length": 2, "output_length": 2, "model": "m", "extra": {"top_k": 1}}"#,
        ],
        &[
            "latencies of recorded answers: 1",
            "texts of messages: 2",
            "block names of turns: 1",
            "limits of answer lengths that became lengths: 1",
            "recorded lengths of prompts: 1",
            "turns without tokens or a length: 2",
            "conversations without text: 1",
            "conversations without a message to answer: 1",
        ],
    );
}

#[test]
fn text_without_a_tokenizer_is_refused_and_a_failing_one_named() {
    let error = |options, text: &str| {
        let conversations = [of_texts("a", &[text])];
        try_written(Target::Mooncake, options, &conversations).unwrap_err().to_string()
    };
    assert_eq!(
        error(without_tokenizer(2), "x"),
        "conversation \"a\" has text without lengths and block names, which Mooncake rows need\n\
         hint: name a tokenizer with --tokenizer"
    );
    assert_eq!(error(options(2), "!"), "tokenizer failed on conversation \"a\": no !");
}

#[test]
fn batches_do_not_show() {
    let conversations: Vec<_> =
        (0..200).map(|it| of_texts(&format!("c{it}"), &["abcd", "x", &it.to_string()])).collect();
    let (text, report) = written(Target::Mooncake, options(2), &conversations);
    assert_eq!((report.conversations, report.rows), (200, 400));
    for (index, row) in text.lines().enumerate() {
        assert!(row.contains(&format!("\"c{}\"", index / 2)), "{row}");
        assert!(row.contains("\"hash_ids\": [0, 1"), "{row}");
    }
}

#[test]
fn a_recorded_answer_says_more_than_its_cap() {
    let capped = RecordedTurn { max_tokens: Some(9), ..RecordedTurn::default() };
    let messages = vec![Message::new("user", "ab"), Message::new("assistant", "xyz")];
    let conversation = Conversation { recorded: vec![capped], ..Conversation::new("c", messages) };
    let row = r#"{"request_id": "c", "input_length": 2, "output_length": 3, "hash_ids": [0]}"#;
    let lost = [
        "texts of messages: 2",
        "limits of answer lengths: 1",
        "what prompts shorter than a block share (a smaller --block-size keeps it): 1",
    ];
    check(options(4), &[conversation], &[row], &lost);
}
