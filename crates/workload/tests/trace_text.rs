//! What a trace says is shared is what its text shares: for every trace with block names.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use turnbench_kvcache::BlockHash;
use turnbench_model::{Conversation, RecordedTurn, Tokenizer};
use turnbench_workload::{
    BuiltinTokenizer, DecodeCleanup, FORMATS, HfTokenizer, Item, Source, TraceText,
};

fn conversations(format: &str, name: &str) -> Vec<Conversation> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/formats");
    let format = FORMATS.iter().find(|one| one.name == format).unwrap();
    let reader = (format.read)(Source::open(&testdata.join(name)).unwrap()).unwrap();
    reader
        .filter_map(|item| match item.unwrap() {
            Item::Conversation(conversation) => Some(*conversation),
            Item::Skipped(skipped) => panic!("{}", skipped.error),
            Item::Remark(_) | Item::Merged(_) => None,
        })
        .collect()
}

/// How many of a prompt's first blocks were there before, where blocks are named by everything up
/// to their end; and the prompt's blocks are there from then on.
fn reused(blocks: &[BlockHash], seen: &mut BTreeSet<BlockHash>) -> usize {
    let count = blocks.iter().take_while(|block| seen.contains(block)).count();
    seen.extend(blocks);
    count
}

/// The names of a turn's full blocks, chained.
fn named_blocks(turn: &RecordedTurn, block_size: u32) -> Vec<BlockHash> {
    let full = turn.prompt_tokens.unwrap() / block_size;
    let ids = turn.hash_ids.iter().take(full as usize);
    let chain = ids.scan(BlockHash::ROOT, |parent, &id| {
        let halves = [(id >> 32) as u32, (id & u64::from(u32::MAX)) as u32];
        *parent = parent.child(&halves);
        Some(*parent)
    });
    chain.collect()
}

fn token_blocks(ids: &[u32], block_size: u32) -> Vec<BlockHash> {
    let chain = ids.chunks_exact(block_size as usize).scan(BlockHash::ROOT, |parent, block| {
        *parent = parent.child(block);
        Some(*parent)
    });
    chain.collect()
}

fn check(format: &str, name: &str, tokenizer: &Arc<dyn Tokenizer>) {
    let mut all = conversations(format, name);
    let report = TraceText::new(Arc::clone(tokenizer), 17).unwrap().fill(&mut all).unwrap();
    let turns: u64 = all.iter().map(|one| one.recorded.len() as u64).sum();
    assert_eq!((report.turn_count, report.conversation_count), (turns, all.len() as u64), "{name}");
    let encode = |text: &str| tokenizer.encode(text).unwrap();
    let encoded: Vec<Vec<Vec<u32>>> = all
        .par_iter()
        .map(|one| one.messages.iter().map(|it| encode(&it.content.text())).collect())
        .collect();
    let (mut by_name, mut by_text, mut shared) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (conversation, messages) in all.iter().zip(&encoded) {
        let block_size = conversation.hash_block_size.unwrap_or(512);
        assert_eq!(messages.len(), 2 * conversation.recorded.len(), "{name}");
        for (turn, message) in conversation.recorded.iter().zip(messages.chunks(2)) {
            let [prompt, answer] = message else { panic!("a turn is two messages") };
            assert_eq!(Some(prompt.len() as u32), turn.prompt_tokens, "{name}");
            assert_eq!(Some(answer.len() as u32), turn.max_tokens, "{name}");
            let expect = reused(&named_blocks(turn, block_size), &mut by_name);
            let found = reused(&token_blocks(prompt, block_size), &mut by_text);
            assert_eq!(found, expect, "{name}, {}", conversation.id);
            shared += found;
        }
    }
    let is_tiny = turns <= 4;
    assert!(shared > 0 || is_tiny || name.contains("precise"), "{name} shares nothing");
}

fn builtin(name: &str) -> Arc<dyn Tokenizer> {
    Arc::new(BuiltinTokenizer::new(name).unwrap())
}

fn local(kind: &str) -> Arc<dyn Tokenizer> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tokenizer").join(kind);
    Arc::new(HfTokenizer::from_directory(&folder, DecodeCleanup::Auto).unwrap())
}

/// Traces that are no burden without optimisation.
const SMALL: [(&str, &str); 8] = [
    ("mooncake", "aiperf-mooncake/precise_schedule.jsonl"),
    ("mooncake", "aiperf-mooncake/production_trace.jsonl"),
    ("mooncake", "dynamo/mooncake.jsonl"),
    ("mooncake", "dynamo/mooncake_tiny.jsonl"),
    ("bailian", "bailian/after_schema.jsonl"),
    ("weka", "weka/trace_0026.json"),
    ("dynamo", "dynamo/dynamo-agentic.jsonl"),
    ("dynamo", "dynamo/agentic-mooncake.jsonl"),
];

#[test]
fn the_text_shares_what_the_names_share_with_every_tokenizer() {
    let tokenizers = [
        builtin("o200k_base"),
        builtin("cl100k_base"),
        local("bpe"),
        local("bpe-cleanup"),
        local("metaspace"),
    ];
    for tokenizer in &tokenizers {
        for (format, name) in SMALL {
            check(format, name, tokenizer);
        }
    }
}

#[test]
fn long_traces_share_what_their_names_share() {
    let tokenizer = builtin("o200k_base");
    check("weka", "weka/trace_0291-subagent.json.zst", &tokenizer);
    check("mooncake", "mooncake/conversation_trace-first350.jsonl.zst", &tokenizer);
    check("mooncake", "mooncake/synthetic_trace-first300.jsonl.zst", &tokenizer);
}

#[test]
fn lengths_alone_share_nothing() {
    let tokenizer = builtin("o200k_base");
    let mut all = conversations("azure", "azure/conv-first600.csv.zst");
    all.truncate(60);
    let report = TraceText::new(Arc::clone(&tokenizer), 1).unwrap().fill(&mut all).unwrap();
    assert_eq!(report.turns_without_ids_count, 60);
    let mut firsts = BTreeSet::new();
    for conversation in &all {
        let ids = tokenizer.encode(&conversation.messages[0].content.text()).unwrap();
        assert_eq!(Some(ids.len() as u32), conversation.recorded[0].prompt_tokens);
        assert!(firsts.insert(ids.into_iter().take(8).collect::<Vec<_>>()));
    }
}
