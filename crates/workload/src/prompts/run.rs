use std::collections::BTreeMap;

use turnbench_metrics::{RequestOrder, TokenBasis};
use turnbench_model::{RequestRecord, SentBlocks};

use super::{PromptBlocks, RequestBlocks};

/// Puts together what a prefix cache saw of a run, attempt by attempt.
#[derive(Debug, Default)]
pub struct RunBlocks {
    requests: Vec<RequestBlocks>,
    /// The request of each record.
    of_record: Vec<Option<usize>>,
    unknown: u64,
    sequences: Vec<Vec<u64>>,
    /// The last attempt of each conversation.
    last: BTreeMap<u32, Last>,
}

/// What a conversation's last attempt left.
#[derive(Clone, Copy, Debug)]
struct Last {
    sequence: usize,
    blocks: usize,
    tokens: u64,
}

/// The requests of a run.
#[derive(Clone, Debug)]
pub struct BlocksOfRun {
    /// As a prefix cache saw them, warm-up and failed attempts that got an answer's beginning included.
    pub blocks: PromptBlocks,
    /// For each record, in order, its place among those requests.
    pub of_record: Vec<Option<usize>>,
}

impl RunBlocks {
    /// Takes the next attempt in; its blocks are `None` where they are not known.
    pub fn add(&mut self, record: &RequestRecord, sent: Option<&SentBlocks>, block_tokens: u32) {
        let stamps = &record.stamps;
        let Some(sent_blocks) = sent else {
            self.unknown += 1;
            self.of_record.push(None);
            return;
        };
        let before = self.last.get(&record.conversation).copied();
        let left = self.sequence(record.conversation, sent_blocks);
        let continued_tokens = match before {
            Some(before) if before.blocks as u64 == sent_blocks.kept => before.tokens,
            Some(_) | None => 0,
        };
        // What the server never answered to it may never have computed.
        let first_token = stamps.first_token.map(|stamp| stamp.at_ns);
        let end = stamps.end.map(|stamp| stamp.at_ns);
        let prefilled = first_token.or(end.filter(|_| record.outcome.is_completed()));
        let (Some(sent), Some(prefilled)) = (stamps.sent_ns, prefilled) else {
            self.of_record.push(None);
            return;
        };
        let prompt_blocks = sent_blocks.prompt_tokens / u64::from(block_tokens.max(1));
        self.of_record.push(Some(self.requests.len()));
        self.requests.push(RequestBlocks {
            conversation: record.conversation,
            turn: record.turn,
            prompt_tokens: sent_blocks.prompt_tokens,
            continued_tokens: continued_tokens.min(sent_blocks.prompt_tokens),
            sequence: left.sequence,
            prompt_blocks: usize::try_from(prompt_blocks).unwrap_or(usize::MAX).min(left.blocks),
            left_blocks: left.blocks,
            sent,
            prefill: prefilled.since(sent),
            latency: end.unwrap_or(prefilled).since(sent),
        });
    }

    /// All of it. `basis` is where the blocks come from.
    pub fn finish(self, basis: TokenBasis, block_tokens: u32) -> BlocksOfRun {
        let conversations_count = self.last.len();
        let blocks = PromptBlocks {
            block_tokens,
            basis,
            order: RequestOrder::SentTime,
            requests: self.requests,
            unknown_requests: self.unknown,
            conversations_count,
            sequences: self.sequences,
        };
        BlocksOfRun { blocks, of_record: self.of_record }
    }

    /// What the attempt leaves. Most attempts go on where the conversation's last one ended, and share
    /// its sequence.
    fn sequence(&mut self, conversation: u32, sent: &SentBlocks) -> Last {
        let kept = usize::try_from(sent.kept).unwrap_or(usize::MAX);
        let before = self.last.get(&conversation).map(|last| last.sequence);
        let whole = before.filter(|&before| self.sequences[before].len() == kept);
        let sequence = whole.unwrap_or_else(|| {
            let names = before.map_or(&[][..], |before| &self.sequences[before]);
            let names = names[..kept.min(names.len())].to_vec();
            self.sequences.push(names);
            self.sequences.len() - 1
        });
        let names = &mut self.sequences[sequence];
        names.extend_from_slice(&sent.names);
        let left = Last { sequence, blocks: names.len(), tokens: sent.left_tokens };
        self.last.insert(conversation, left);
        left
    }
}
