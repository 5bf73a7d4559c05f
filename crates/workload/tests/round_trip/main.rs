//! What is written is read again as it was, as far as the target can hold it.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod arbitrary;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arbitrary::conversation;
use proptest::prelude::*;
use serde_json::{Value, json};
use turnbench_model::{
    Conversation, Message, RecordedTurn, Tokenizer, TokenizerError, TurnRules, TurnSpan,
};
use turnbench_workload::{
    FORMATS, Item, Source, Target, WorkloadError, WriteReport, Writer, WriterOptions,
};

fn read_file(format: &str, path: &Path) -> Vec<Conversation> {
    let format = FORMATS.iter().find(|it| it.name == format).unwrap();
    let mut conversations = Vec::new();
    for item in (format.read)(Source::open(path).unwrap()).unwrap() {
        let item = item.unwrap();
        if let Item::Skipped(skipped) = &item {
            panic!("{}: {}", skipped.reason, skipped.error);
        }
        if let Item::Conversation(conversation) = item {
            conversations.push(*conversation);
        }
    }
    conversations
}

fn read(format: &str, bytes: &[u8]) -> Vec<Conversation> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in");
    std::fs::write(&path, bytes).unwrap();
    read_file(format, &path)
}

fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/formats").join(name)
}

fn write(
    target: Target,
    options: WriterOptions,
    conversations: &[Conversation],
) -> (Vec<u8>, WriteReport) {
    let mut out = Vec::new();
    let mut writer = Writer::new(target, options, &mut out);
    for conversation in conversations {
        writer.write(conversation.clone()).unwrap();
    }
    let report = writer.finish().unwrap();
    (out, report)
}

fn of_block_size(block_size: u32) -> WriterOptions {
    WriterOptions { block_size, ..WriterOptions::default() }
}

/// The bytes of a sample, decompressed.
fn bytes_of(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut source = Source::open(&sample(name)).unwrap().bytes();
    source.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn published_mooncake_traces_come_out_byte_for_byte() {
    for name in [
        "mooncake/conversation_trace-first350.jsonl.zst",
        "mooncake/synthetic_trace-first300.jsonl.zst",
        "aiperf-mooncake/precise_schedule.jsonl",
        "aiperf-mooncake/production_trace.jsonl",
        "dynamo/mooncake_tiny.jsonl",
    ] {
        let conversations = read_file("mooncake", &sample(name));
        let (out, report) = write(Target::Mooncake, WriterOptions::default(), &conversations);
        assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(bytes_of(name)).unwrap());
        assert_eq!(report.lost, [], "{name}");
    }
}

#[test]
fn the_keys_that_others_add_to_mooncake_rows_stay() {
    let rows = [
        json!({"request_id": "m1", "timestamp": 0, "input_length": 32, "output_length": 4, "hash_ids": [101], "model": "m"}),
        json!({"timestamp": 0.5, "input_length": 9, "extra": {"top_k": 3}}),
        json!({"session_id": "s", "timestamp": 7, "input_length": 600, "output_length": 4, "hash_ids": [1, 2]}),
        json!({"session_id": "s", "delay": 20, "input_length": 700, "output_length": 4, "hash_ids": [1, 3]}),
    ];
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let conversations = read("mooncake", lines.join("\n").as_bytes());
    let (out, report) = write(Target::Mooncake, WriterOptions::default(), &conversations);
    let written: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    assert_eq!(written, rows);
    assert_eq!((report.conversations, report.rows, report.lost), (3, 4, vec![]));
}

/// Reads a trace, writes it as Mooncake rows and reads these.
fn through_mooncake(format: &str, name: &str, block_size: u32) -> [Vec<Conversation>; 2] {
    let before = read_file(format, &sample(name));
    let (out, _) = write(Target::Mooncake, of_block_size(block_size), &before);
    let mut after = read("mooncake", &out);
    // Sessions come last.
    let place = |one: &Conversation| before.iter().position(|it| it.id == one.id);
    after.sort_by_key(place);
    [before, after]
}

#[test]
fn traces_of_other_formats_keep_what_mooncake_rows_hold() {
    for (format, name, block_size) in [
        ("bailian", "bailian/after_schema.jsonl", 16),
        ("weka", "weka/trace_0026.json", 64),
        ("azure", "azure/code-first600.csv.zst", 512),
        ("burstgpt", "burstgpt/quoted_rows_v1.csv", 512),
    ] {
        let [before, after] = through_mooncake(format, name, block_size);
        assert_eq!(before.len(), after.len(), "{name}");
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((&before.id, before.hash_block_size), (&after.id, after.hash_block_size));
            assert_eq!(before.recorded.len(), after.recorded.len());
            for (before, after) in before.recorded.iter().zip(&after.recorded) {
                let kept = |turn: &RecordedTurn| RecordedTurn {
                    latency_ns: None,
                    ttft_ns: None,
                    // A row has one time.
                    sent_at_ns: turn.sent_at_ns.filter(|_| turn.think_time_ns.is_none()),
                    think_time_ns: None,
                    ..turn.clone()
                };
                let after = RecordedTurn { think_time_ns: before.think_time_ns, ..after.clone() };
                assert_eq!(kept(before), kept(&after), "{name}");
            }
        }
    }
}

#[test]
fn joined_blocks_are_shared_where_the_prompts_were() {
    let [before, after] = through_mooncake("bailian", "bailian/after_schema.jsonl", 64);
    let turns = |all: &[Conversation]| -> Vec<Vec<u64>> {
        all.iter().flat_map(|one| one.recorded.iter().map(|turn| turn.hash_ids.clone())).collect()
    };
    let (before, after) = (turns(&before), turns(&after));
    assert_eq!(before.len(), after.len());
    let shared = |a: &[u64], b: &[u64]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    for (ids, joined) in before.iter().zip(&after) {
        assert_eq!(joined.len(), ids.len().div_ceil(4));
        for (other_ids, other_joined) in before.iter().zip(&after) {
            let same = shared(ids, other_ids);
            // A last block of fewer ids is the same only where both end in it.
            let ends = same == ids.len() && same == other_ids.len();
            let expect = if ends { same.div_ceil(4) } else { same / 4 };
            assert_eq!(shared(joined, other_joined), expect);
        }
    }
}

#[test]
fn chat_rows_are_read_as_they_were() {
    for (format, name) in [
        ("openai", "openai/llamafactory-reason_tool_use_demo_50-first6.jsonl"),
        ("openai", "openai/llamafactory-v1_sft_demo-first25.jsonl"),
        ("openai", "openai/vllm-openai_example_batch.jsonl"),
        ("sharegpt", "sharegpt/llamafactory-glaive_toolcall_en_demo-first25.json"),
    ] {
        let conversations = read_file(format, &sample(name));
        let (out, report) = write(Target::OpenAi, WriterOptions::default(), &conversations);
        assert_eq!((report.conversations, report.lost), (conversations.len() as u64, vec![]));
        let again = read("openai", &out);
        assert_eq!(again.len(), conversations.len(), "{name}");
        for (before, after) in conversations.iter().zip(&again) {
            // Of a batch row, that it is a single request is told by its turns.
            let turns = |one: &Conversation| -> Vec<TurnSpan> { one.turns(TurnRules::default()) };
            assert_eq!(turns(before), turns(after), "{name}");
            let plain = |one: &Conversation| {
                let mut one = one.clone();
                one.recorded.iter_mut().for_each(|turn| turn.messages_count = None);
                one
            };
            assert_eq!(plain(before), plain(after), "{name}");
        }
    }
}

#[test]
fn aiperf_turns_are_read_as_they_were() {
    for name in ["aiperf/multi_turn.jsonl", "aiperf/single_turn.jsonl"] {
        let mut conversations = read_file("aiperf", &sample(name));
        let (out, _) = write(Target::AiPerf, WriterOptions::default(), &conversations);
        let mut again = read("aiperf", &out);
        // Answers and instructions are not AIPerf's matter, nor are models.
        let is_plain = |one: &Conversation| {
            one.messages.iter().all(Message::asks)
                && one.recorded.iter().all(|turn| turn.model.is_none())
        };
        let plain: Vec<bool> = conversations.iter().map(is_plain).collect();
        assert_eq!(conversations.len(), again.len(), "{name}");
        let mut at = plain.iter();
        conversations.retain(|_| *at.next().unwrap());
        let mut at = plain.iter();
        again.retain(|_| *at.next().unwrap());
        assert!(!again.is_empty(), "{name}");
        assert_eq!(conversations, again, "{name}");
    }
}

#[test]
fn every_sample_is_the_same_after_json_and_jsonl() {
    for (format, name) in [
        ("openai", "openai/llamafactory-reason_tool_use_demo_50-first6.jsonl"),
        ("openai", "openai/vllm-openai_example_batch.jsonl"),
        ("mlperf-agentic", "mlperf-agentic/agentic_coding_2.5h-2conversations.jsonl.zst"),
        ("aiperf", "aiperf/multi_turn.jsonl"),
        ("mooncake", "mooncake/conversation_trace-first350.jsonl.zst"),
        ("bailian", "bailian/after_schema.jsonl"),
        ("weka", "weka/trace_0291-subagent.json.zst"),
        ("azure", "azure/code-first600.csv.zst"),
        ("burstgpt", "burstgpt/composed_session_columns.csv"),
        ("wildchat", "wildchat/pyarrow_snappy.parquet"),
    ] {
        check_own(&read_anything(format, name));
    }
}

/// Reads a sample whose odd rows are skipped.
fn read_anything(format: &str, name: &str) -> Vec<Conversation> {
    let format = FORMATS.iter().find(|it| it.name == format).unwrap();
    let items = (format.read)(Source::open(&sample(name)).unwrap()).unwrap();
    let conversation = |item: Result<Item, WorkloadError>| {
        let Item::Conversation(conversation) = item.unwrap() else { return None };
        Some(*conversation)
    };
    let conversations: Vec<Conversation> = items.filter_map(conversation).collect();
    assert!(!conversations.is_empty(), "{name}");
    conversations
}

/// turnbench's own forms hold everything.
fn check_own(conversations: &[Conversation]) {
    let layouts = [
        (Target::Json, WriterOptions::default()),
        (Target::Json, WriterOptions { ascii: true, indent: 0, ..WriterOptions::default() }),
        (Target::Jsonl, WriterOptions::default()),
    ];
    for (target, options) in layouts {
        let (out, report) = write(target, options, conversations);
        assert_eq!(report.lost, []);
        assert_eq!(report.conversations, conversations.len() as u64);
        let again = read("conversations", &out);
        assert_eq!(again.len(), conversations.len());
        for (before, after) in conversations.iter().zip(&again) {
            assert_eq!(before, after);
        }
    }
}

#[test]
fn what_is_written_is_recognized_by_its_content() {
    let conversations = read_file("openai", &sample("openai/vllm-openai_example_batch.jsonl"));
    let trace = read_file("mooncake", &sample("aiperf-mooncake/production_trace.jsonl"));
    for (target, conversations, expect) in [
        (Target::Json, &conversations, "conversations"),
        (Target::Json, &trace, "conversations"),
        (Target::Jsonl, &conversations, "conversations"),
        (Target::Jsonl, &trace, "conversations"),
        (Target::Mooncake, &trace, "mooncake"),
        (Target::AiPerf, &conversations, "aiperf"),
        (Target::OpenAi, &conversations, "openai"),
    ] {
        let (out, _) = write(target, WriterOptions::default(), conversations);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in");
        std::fs::write(&path, out).unwrap();
        let source = Source::open(&path).unwrap();
        let names: Vec<&str> =
            FORMATS.iter().filter(|it| (it.sniff)(source.peek())).map(|it| it.name).collect();
        assert_eq!(names, [expect], "{target}");
    }
}

/// Each character is a token.
struct Characters;

impl Tokenizer for Characters {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(text.chars().map(u32::from).collect())
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        Ok(ids.iter().filter_map(|&id| char::from_u32(id)).collect())
    }

    fn vocab_size(&self) -> u32 {
        1 << 21
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_conversation_is_the_same_after_json_and_jsonl(
        mut conversations in prop::collection::vec(conversation(), 0..4),
    ) {
        for (index, one) in conversations.iter_mut().enumerate() {
            one.id.push_str(&index.to_string());
        }
        check_own(&conversations);
    }

    #[test]
    fn rows_of_other_targets_are_objects_one_a_line(
        mut conversations in prop::collection::vec(conversation(), 0..4),
    ) {
        for one in &mut conversations {
            // Blocks of any size have no place beside others.
            one.hash_block_size = one.hash_block_size.map(|size| 1 + size % 2);
        }
        let tokenizer: Arc<dyn Tokenizer> = Arc::new(Characters);
        for target in [Target::Mooncake, Target::AiPerf, Target::OpenAi] {
            let options = WriterOptions { tokenizer: Some(Arc::clone(&tokenizer)), ..of_block_size(2) };
            let (out, report) = write(target, options, &conversations);
            let text = String::from_utf8(out).unwrap();
            let rows: Vec<Value> =
                text.split_terminator('\n').map(|row| serde_json::from_str(row).unwrap()).collect();
            prop_assert!(rows.iter().all(Value::is_object));
            prop_assert_eq!(report.rows, rows.len() as u64);
            prop_assert!(report.conversations <= conversations.len() as u64);
            prop_assert!(report.lost.iter().all(|(_, count)| *count > 0));
        }
    }
}
