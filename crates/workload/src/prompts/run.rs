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
    /// The last sequence of each conversation.
    last: BTreeMap<u32, usize>,
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
        let left = self.sequence(record.conversation, sent_blocks);
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
            sequence: left.0,
            prompt_blocks: usize::try_from(prompt_blocks).unwrap_or(usize::MAX).min(left.1),
            left_blocks: left.1,
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

    /// The sequence that begins with all blocks of the attempt, and how many those are. Most attempts go
    /// on where the conversation's last one ended.
    fn sequence(&mut self, conversation: u32, sent: &SentBlocks) -> (usize, usize) {
        let kept = usize::try_from(sent.kept).unwrap_or(usize::MAX);
        let last = self.last.get(&conversation).copied();
        let place = match last {
            Some(last) if self.sequences[last].len() == kept => last,
            Some(last) => {
                let mut names = self.sequences[last].clone();
                names.truncate(kept);
                self.sequences.push(names);
                self.sequences.len() - 1
            }
            None => {
                self.sequences.push(Vec::new());
                self.sequences.len() - 1
            }
        };
        self.last.insert(conversation, place);
        let names = &mut self.sequences[place];
        names.extend_from_slice(&sent.names);
        (place, names.len())
    }
}
