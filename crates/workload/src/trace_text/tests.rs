use std::path::Path;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use turnbench_model::{Conversation, RecordedTurn, Tokenizer, TurnRules};

use super::{FillReport, TraceText};
use crate::{BuiltinTokenizer, DecodeCleanup, HfTokenizer};

/// One of each kind, by name.
pub(super) fn tokenizers() -> Vec<(&'static str, Arc<dyn Tokenizer>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tokenizer");
    let mut all: Vec<(&'static str, Arc<dyn Tokenizer>)> = Vec::new();
    for name in ["bpe", "bpe-cleanup", "metaspace"] {
        let folder = folder.join(name);
        let loaded = HfTokenizer::from_directory(&folder, DecodeCleanup::Auto).unwrap();
        all.push((name, Arc::new(loaded)));
    }
    for name in BuiltinTokenizer::NAMES {
        all.push((name, Arc::new(BuiltinTokenizer::new(name).unwrap())));
    }
    all
}

fn turn(prompt: u32, answer: Option<u32>, hash_ids: &[u64]) -> RecordedTurn {
    let known = RecordedTurn {
        prompt_tokens: Some(prompt),
        hash_ids: hash_ids.to_vec(),
        ..RecordedTurn::default()
    };
    answer.map_or(known.clone(), |tokens| known.with_answer_tokens(tokens))
}

fn conversation(id: &str, recorded: Vec<RecordedTurn>) -> Conversation {
    let hash_block_size = Some(16);
    Conversation { recorded, hash_block_size, ..Conversation::new(id, Vec::new()) }
}

fn bpe() -> TraceText {
    TraceText::new(Arc::clone(&tokenizers()[0].1), 3).unwrap()
}

#[test]
fn lengths_are_exact_whatever_the_tokenizer() {
    for (name, tokenizer) in tokenizers() {
        let text = TraceText::new(Arc::clone(&tokenizer), 0).unwrap();
        let recorded = vec![
            turn(40, Some(7), &[1, 2, 3]),
            turn(1, None, &[9]),
            turn(33, Some(1), &[]),
            turn(0, Some(0), &[]),
        ];
        let mut all = [conversation("c", recorded)];
        text.fill(&mut all).unwrap();
        let counts: Vec<u64> = all[0]
            .messages
            .iter()
            .map(|message| tokenizer.count(&message.content.text()).unwrap())
            .collect();
        assert_eq!(counts, [40, 7, 1, 33, 1, 0, 0], "{name}");
        let turns = all[0].turns(TurnRules::default());
        let answers: Vec<_> = turns.iter().map(|turn| turn.answer).collect();
        assert_eq!(answers, [Some(1), None, Some(4), Some(6)], "{name}");
        assert!(turns.iter().all(|turn| turn.standalone && turn.messages.len() == 1));
    }
}

#[test]
fn the_same_name_is_the_same_text_and_the_rest_is_unique() {
    let text = bpe();
    let mut all = [
        conversation("a", vec![turn(32, Some(9), &[5, 6])]),
        conversation("b", vec![turn(40, Some(9), &[6, 5]), turn(20, None, &[5, 7])]),
        conversation("c", vec![turn(40, Some(9), &[])]),
    ];
    text.fill(&mut all).unwrap();
    let ids: Vec<Vec<u32>> = all
        .iter()
        .flat_map(|one| &one.messages)
        .map(|message| text.tokenizer.encode(&message.content.text()).unwrap())
        .collect();
    let [a, answer_a, b, answer_b, b2, c, answer_c] = &ids[..] else { panic!("{}", ids.len()) };
    assert_eq!((&a[..16], &a[16..]), (&b[16..32], &b[..16]));
    assert_eq!(a[..16], b2[..16]);
    assert_ne!(c[..8], b[32..]);
    assert!(answer_a != answer_b && answer_b != answer_c && answer_a != answer_c);
}

#[test]
fn what_does_not_fit_is_counted() {
    let recorded = vec![
        turn(33, Some(2), &[1, 2]),
        turn(16, None, &[1, 2, 3]),
        turn(8, Some(1), &[]),
        RecordedTurn { hash_ids: vec![1, 2], ..RecordedTurn::default() },
    ];
    let mut all = [conversation("a", recorded), conversation("none", Vec::new())];
    let report = bpe().fill(&mut all).unwrap();
    let expect = FillReport {
        conversation_count: 1,
        turn_count: 4,
        prompt_tokens: 33 + 16 + 8 + 32,
        answer_tokens: 3,
        turns_without_ids_count: 1,
        turns_without_answer_count: 2,
        ids_cut_count: 2,
        unnamed_tokens: 1,
        checked_turn_count: 4,
    };
    assert_eq!(report, expect);
    assert!(all[1].messages.is_empty());
    assert_eq!(all[0].messages.len(), 6, "two turns have no answer");
}

#[test]
fn messages_that_are_there_stay() {
    let message = turnbench_model::Message::new("user", "hello");
    let own = Conversation {
        messages: vec![message],
        ..conversation("a", vec![turn(33, Some(2), &[1, 2])])
    };
    let mut all = [own.clone()];
    assert_eq!(bpe().fill(&mut all).unwrap(), FillReport::default());
    assert_eq!(all[0], own);
}

#[test]
fn the_text_depends_on_seed_and_names_alone() {
    let (_, tokenizer) = tokenizers().remove(0);
    let make = |seed, id: &str, before: usize| {
        let mut all: Vec<_> =
            (0..before).map(|_| conversation("x", vec![turn(50, Some(3), &[8])])).collect();
        all.push(conversation(id, vec![turn(60, Some(4), &[1, 2, 3])]));
        TraceText::new(Arc::clone(&tokenizer), seed).unwrap().fill(&mut all).unwrap();
        all.pop().unwrap().messages
    };
    assert_eq!(make(1, "c", 0), make(1, "c", 3));
    assert_ne!(make(1, "c", 0)[0], make(2, "c", 0)[0]);
    assert_ne!(make(1, "c", 0)[0], make(1, "d", 0)[0], "tokens without a name are its own");
}

fn refuse(mut conversation: Conversation, block_size: Option<u32>, expect: &str) {
    conversation.hash_block_size = block_size;
    let error = bpe().fill(&mut [conversation]).unwrap_err().to_string();
    assert!(error.starts_with(expect), "{error}");
}

#[test]
fn what_cannot_be_made_is_refused_with_its_turn() {
    let one = |turn| conversation("c", vec![turn]);
    refuse(
        one(RecordedTurn::default()),
        None,
        "conversation \"c\", turn 1: it has no messages and neither prompt_tokens nor hash_ids",
    );
    refuse(
        one(turn(5, None, &[1])),
        None,
        "conversation \"c\", turn 1: hash_ids are given, but hash_block_size is missing",
    );
    refuse(
        one(turn(5, None, &[1])),
        Some(0),
        "conversation \"c\", turn 1: hash_ids are given, but hash_block_size is 0",
    );
    refuse(
        one(turn(2, None, &[1, 1 << 40])),
        Some(1),
        "conversation \"c\", turn 1: hash id 1099511627776 cannot be told apart from others",
    );
    refuse(
        one(turn(u32::MAX, None, &[])),
        None,
        "conversation \"c\", turn 1: prompt_tokens is 4294967295, allowed is at most 16777216",
    );
    refuse(
        one(turn(1, Some(u32::MAX), &[])),
        None,
        "conversation \"c\", turn 1: max_tokens is 4294967295, allowed is at most 16777216",
    );
}

static BPE: LazyLock<TraceText> = LazyLock::new(bpe);

/// The full blocks of a turn: name and tokens.
fn full_blocks(turn: &RecordedTurn, text: &str, block_size: u32) -> Vec<(u64, Vec<u32>)> {
    let tokens = BPE.tokenizer.encode(text).unwrap();
    assert_eq!(Some(tokens.len() as u32), turn.prompt_tokens);
    let blocks = tokens.chunks_exact(block_size as usize).map(<[u32]>::to_vec);
    turn.hash_ids.iter().copied().zip(blocks).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn blocks_are_equal_where_their_names_are(
        turns in prop::collection::vec(
            (0..200_u32, prop::collection::vec(prop_oneof![0..6_u64, any::<u64>()], 0..8)),
            1..6,
        ),
        block_size in 8..40_u32,
    ) {
        let recorded = turns.iter().map(|(length, ids)| turn(*length, Some(3), ids)).collect();
        let one = conversation("c", recorded);
        let mut all = [Conversation { hash_block_size: Some(block_size), ..one }];
        BPE.fill(&mut all).unwrap();
        let blocks: Vec<(u64, Vec<u32>)> = all[0]
            .recorded
            .iter()
            .zip(all[0].messages.chunks(2))
            .flat_map(|(turn, messages)| {
                full_blocks(turn, &messages[0].content.text(), block_size)
            })
            .collect();
        for (name, tokens) in &blocks {
            for (other, others) in &blocks {
                prop_assert_eq!(name == other, tokens == others);
            }
        }
    }
}
