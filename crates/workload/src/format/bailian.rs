//! Usage traces of Alibaba's Bailian service (alibaba-edu/qwen-bailian-usagetraces-anon of 2025,
//! `qwen_traceA_blksz_16.jsonl` and `qwen_traceB_blksz_16.jsonl`), JSONL.
//!
//! A row is one request: `{"chat_id", "parent_chat_id", "timestamp", "input_length",
//! "output_length", "type", "turn", "hash_ids"}`. Times are in seconds, an id stands for 16
//! tokens, and each prompt is whole. A request goes on from the one that `parent_chat_id` names;
//! -1 is none.
//!
//! Kept: all of these but `type` and `turn`; where the first time is a date, times are since then.
//! Chains of parents are the conversations, each named
//! after its first `chat_id`. Where several requests go on from one, the first in the file does so
//! in the conversation, and the others begin conversations with a parent. A row whose parent is
//! not in the file before it begins a conversation, too, with a remark on the first such row.
//!
//! The whole file is read before the first conversation is handed out, for any may go on in the
//! last row.

use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use serde_json::Value;
use turnbench_model::{Conversation, Parent, RecordedTurn};

use super::gathered::{Gather, Gathered};
use super::row_groups::id_of;
use super::trace::{Clock, Remarks, hash_ids, lengths};
use super::units::seconds;
use super::{Format, Item, Peek, Reader, Row, Skipped, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// Usage traces of Alibaba's Bailian service.
pub(super) const FORMAT: Format = Format {
    name: "bailian",
    about: "Qwen-Bailian traces: {\"chat_id\", \"parent_chat_id\", \"hash_ids\", …}, as JSONL",
    sniff,
    read,
};

/// Tokens of a block.
const BLOCK_SIZE: u32 = 16;

const KEYS: [&str; 8] = [
    "chat_id",
    "parent_chat_id",
    "timestamp",
    "input_length",
    "output_length",
    "type",
    "turn",
    "hash_ids",
];

fn sniff(peek: &Peek) -> bool {
    let row = peek.first();
    ["chat_id", "input_length"].iter().all(|key| row.get(key).is_some())
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let chains = Chains::new(source.conversations_max());
    Ok(Box::new(Gathered::new(source, chains)))
}

/// Requests put together by their parents.
struct Chains {
    conversations_max: usize,
    conversations: Vec<Conversation>,
    /// Hashes of the conversations' ids: those with an id that there was before do not count, for
    /// they will be dropped.
    ids: FxHashSet<u64>,
    /// Conversation and turn (from 1) of each request, by hash of its id. A collision of hashes
    /// would put a request of one file in 2^24 of a million rows into the wrong conversation.
    places: FxHashMap<u64, (u32, u32)>,
    clock: Clock,
    remarks: Remarks,
    /// Skips and remarks of the current row.
    others: Vec<Item>,
}

impl Gather for Chains {
    fn take(&mut self, row: &Row) -> Result<Vec<Item>, WorkloadError> {
        let value = row.value()?;
        let node = row.node(&value);
        self.others.extend(self.remarks.unknown_keys(&node, &KEYS));
        if let Err(skipped) = self.add(&node, &value) {
            self.others.push(Item::Skipped(skipped));
        }
        Ok(std::mem::take(&mut self.others))
    }

    fn finish(self) -> Box<dyn Iterator<Item = Item> + Send> {
        Box::new(self.conversations.into_iter().map(|it| Item::Conversation(Box::new(it))))
    }
}

impl Chains {
    fn new(conversations_max: Option<usize>) -> Self {
        Self {
            conversations_max: conversations_max.unwrap_or(usize::MAX),
            conversations: Vec::new(),
            ids: FxHashSet::default(),
            places: FxHashMap::default(),
            clock: Clock::default(),
            remarks: Remarks::default(),
            others: Vec::new(),
        }
    }

    fn add(&mut self, row: &Node, value: &Value) -> Result<(), Skipped> {
        row.object().map_err(|error| Skipped::new("no object", error))?;
        let id = id_of(value, "chat_id").ok_or_else(|| {
            let error = row.key("chat_id").refuse("a whole number, or a string");
            Skipped::new("no chat_id", error)
        })?;
        let mut turn = RecordedTurn {
            sent_at_ns: seconds(&row.key("timestamp"))?,
            hash_ids: hash_ids(&row.key("hash_ids"))?,
            ..lengths(&row.key("input_length"), &row.key("output_length"))?
        };
        let (sent, remark) = self.clock.since_first_date(turn.sent_at_ns, row, "timestamp");
        turn.sent_at_ns = sent;
        self.others.extend(remark);
        let named = id_of(value, "parent_chat_id").filter(|parent| parent != "-1");
        let parent = named.as_ref().and_then(|parent| self.places.get(&key(parent))).copied();
        let place = if let Some(before) = parent {
            self.go_on(before, &id, turn)
        } else {
            let place = self.begin(&id, None, turn);
            if named.is_some() && place.is_some() {
                let problem = "names a row that is not in the file before it; such rows begin \
                               conversations of their own";
                let remark = self.remarks.once(row, "parent_chat_id", problem);
                self.others.extend(remark.map(Item::Remark));
            }
            place
        };
        if let Some(place) = place {
            self.places.insert(key(&id), place);
        }
        Ok(())
    }

    /// Adds a turn after the one at a place: in its conversation, or if that has gone on already,
    /// in one that forks.
    fn go_on(
        &mut self,
        (conversation, turn_before): (u32, u32),
        id: &str,
        turn: RecordedTurn,
    ) -> Option<(u32, u32)> {
        let chain = &mut self.conversations[conversation as usize];
        if chain.recorded.len() == turn_before as usize {
            extend(chain, turn);
            return Some((conversation, turn_before + 1));
        }
        let parent = Parent { id: chain.id.clone(), after_turn: turn_before, before_turn: None };
        self.begin(id, Some(parent), turn)
    }

    /// Begins a conversation; `None` when there are enough.
    fn begin(
        &mut self,
        id: &str,
        parent: Option<Parent>,
        turn: RecordedTurn,
    ) -> Option<(u32, u32)> {
        if self.ids.len() >= self.conversations_max {
            return None;
        }
        // Places are 32 bits wide.
        let index = u32::try_from(self.conversations.len()).ok()?;
        self.ids.insert(key(id));
        let mut conversation = Conversation { parent, ..Conversation::new(id, Vec::new()) };
        extend(&mut conversation, turn);
        self.conversations.push(conversation);
        Some((index, 1))
    }
}

fn extend(conversation: &mut Conversation, turn: RecordedTurn) {
    if !turn.hash_ids.is_empty() {
        conversation.hash_block_size = Some(BLOCK_SIZE);
    }
    conversation.recorded.push(turn);
}

fn key(id: &str) -> u64 {
    FxBuildHasher.hash_one(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use turnbench_model::{Conversation, Nanos, Parent};

    use super::FORMAT;
    use crate::format::Item;
    use crate::format::testing::{
        Seen, mutated, read, read_anyway, sample, source, source_of_bytes,
    };

    fn lengths(conversation: &Conversation) -> Vec<u32> {
        conversation.recorded.iter().filter_map(|turn| turn.prompt_tokens).collect()
    }

    #[test]
    fn the_chain_of_parents_is_the_conversation() {
        let seen = read(&FORMAT, sample("bailian/after_schema.jsonl"));
        assert_eq!((seen.skips.len(), &seen.error), (0, &None));
        let all: Vec<_> =
            seen.conversations.iter().map(|it| (it.id.as_str(), lengths(it))).collect();
        assert_eq!(
            all,
            [
                ("159", vec![521, 700, 866]),
                ("161", vec![40]),
                ("164", vec![712]),
                ("166", vec![310, 352]),
            ]
        );
        let fork = Parent { id: "159".into(), after_turn: 1, before_turn: None };
        let parents: Vec<_> = seen.conversations.iter().map(|it| it.parent.clone()).collect();
        assert_eq!(parents, [None, None, Some(fork), None]);
        assert_eq!(seen.conversations[0].hash_block_size, Some(16));
        assert_eq!(seen.conversations[0].recorded[0].sent_at_ns, Some(Nanos(61_114_000_000)));
        assert_eq!(seen.conversations[0].recorded[2].max_tokens, Some(60));
        assert_eq!(
            seen.remarks,
            ["in.jsonl: parent_chat_id names a row that is not in the file before it; such rows \
              begin conversations of their own"
                .replace("in.jsonl", "after_schema.jsonl")]
        );
    }

    #[test]
    fn no_more_conversations_are_kept_than_asked_for() {
        let limited = sample("bailian/after_schema.jsonl").with_conversations_max(Some(2));
        let seen = read(&FORMAT, limited);
        let ids: Vec<_> = seen.conversations.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["159", "161"]);
        assert_eq!(lengths(&seen.conversations[0]).len(), 3);
    }

    #[test]
    fn conversations_of_one_id_count_once() {
        let row = |id| format!("{{\"chat_id\": {id}, \"input_length\": 4}}\n");
        let text = [row(1), row(1), row(2), row(3)].concat();
        let seen = read(&FORMAT, source(&text).with_conversations_max(Some(2)));
        let ids: Vec<_> = seen.conversations.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["1", "1", "2"]);
    }

    #[test]
    fn dates_become_times_since_the_first() {
        let row = |id, time| {
            format!("{{\"chat_id\": {id}, \"timestamp\": {time}, \"input_length\": 4}}\n")
        };
        let text = [row(1, 1_700_000_000_u64), row(2, 1_700_000_002), row(3, 5)].concat();
        let seen = rows(&text);
        let times = seen.conversations.iter().map(|it| it.recorded[0].sent_at_ns.unwrap().0);
        assert_eq!(times.collect::<Vec<_>>(), [0, 2_000_000_000, 0]);
        let expect = "in.data: timestamp is earlier than that of the first row; such rows count as \
                      sent with the first";
        assert_eq!(seen.remarks, [expect]);
    }

    #[test]
    fn skips_are_handed_out_as_they_come() {
        let mut items = (FORMAT.read)(source(&format!("{{}}\n{ROW}}}"))).unwrap();
        assert!(matches!(items.next(), Some(Ok(Item::Skipped(_)))));
        assert!(matches!(items.next(), Some(Err(_))));
    }

    fn rows(text: &str) -> Seen {
        read_anyway(&FORMAT, source(text))
    }

    const ROW: &str = "{\"chat_id\": 1, \"parent_chat_id\": -1, \"timestamp\": 0.5, \
                       \"input_length\": 20, \"output_length\": 3, \"type\": \"text\", \
                       \"turn\": 1, \"hash_ids\": [7, -8]}\n";

    #[test]
    fn odd_rows_are_skipped_by_reason() {
        let text = [
            ROW,
            "{\"input_length\": 1}\n",
            "{\"chat_id\": 1.5, \"input_length\": 1}\n",
            "{\"chat_id\": 2}\n",
            "{\"chat_id\": 2, \"input_length\": 99999999999}\n",
            "{\"chat_id\": 2, \"input_length\": 1, \"hash_ids\": [1, \"x\"]}\n",
            "[]\n",
        ]
        .concat();
        let seen = rows(&text);
        let one = &seen.conversations[0].recorded[0];
        assert_eq!(
            (seen.conversations.len(), &one.hash_ids[..]),
            (1, &[7, 8_u64.wrapping_neg()][..])
        );
        assert_eq!(
            seen.skips,
            [
                "no chat_id: in.data:2: chat_id is missing, allowed is a whole number, or a string",
                "no chat_id: in.data:3: chat_id is 1.5, allowed is a whole number, or a string",
                "no prompt length: in.data:4: input_length is missing, allowed is a whole number \
                 of tokens, from 1",
                "malformed token count: in.data:5: input_length is 99999999999, allowed is a whole \
                 number of tokens, 1 to 4294967295",
                "malformed hash_ids: in.data:6: hash_ids[1] is \"x\", allowed is a whole number of \
                 up to 64 bits",
                "no object: in.data:7: the document is [], allowed is a JSON object",
            ]
        );
    }

    #[test]
    fn a_broken_line_ends_the_file() {
        let seen = rows(&format!("{ROW}{{\"chat_id\"\n"));
        assert!(seen.error.is_some() && seen.conversations.is_empty());
    }

    proptest! {
        #[test]
        fn no_rows_make_the_reader_panic(bytes in mutated(&[ROW])) {
            read_anyway(&FORMAT, source_of_bytes(&bytes));
        }
    }
}
