use turnbench_kvcache::BlockHash;
use turnbench_metrics::{RequestOrder, RequestSample};
use turnbench_model::{Conversation, History, RecordedTurn, TurnRules};

use super::cache::{EndlessCache, Known, Lengths};
use super::sequence::Sequence;

/// Prompts are those of the recorded history.
pub(super) const RULES: TurnRules =
    TurnRules { compat: turnbench_model::Compat::None, history: History::Recorded };

/// What is kept of a conversation once its tokens are forgotten.
#[derive(Debug, Default)]
pub(super) struct ConversationFacts {
    /// Tokens of each message, in order; empty when they are not counted.
    pub(super) message_tokens: Vec<u32>,
    pub(super) requests: Vec<RequestFacts>,
    pub(super) sequences: Vec<Sequence>,
    /// Whether the chat template rejects the messages.
    pub(super) rejected: bool,
}

/// One request.
#[derive(Debug, Default)]
pub(super) struct RequestFacts {
    pub(super) sample: RequestSample,
    /// The sequence that the prompt is the beginning of.
    pub(super) sequence: Option<usize>,
    /// Names of the prompt's partial last block, one for each block size; empty where the next
    /// prompt continues it.
    pub(super) tails: Vec<Option<BlockHash>>,
    /// Prompt tokens of a trace that no block name stands for.
    pub(super) unnamed_tokens: u64,
    /// Whether the answer's blocks follow in the sequence.
    pub(super) answer_known: bool,
}

impl RequestFacts {
    /// What is recorded of a request; `turn` from 0.
    pub(super) fn recorded(
        conversation: usize,
        turn: usize,
        recorded: Option<&RecordedTurn>,
    ) -> Self {
        let none = RecordedTurn::default();
        let recorded = recorded.unwrap_or(&none);
        let sample = RequestSample {
            conversation: u32::try_from(conversation).unwrap_or(u32::MAX),
            turn: u32::try_from(turn + 1).unwrap_or(u32::MAX),
            sent_at_ns: recorded.sent_at_ns,
            think_time_ns: recorded.think_time_ns,
            latency_ns: recorded.latency_ns,
            ttft_ns: recorded.ttft_ns,
            model: recorded.model.clone(),
            ..RequestSample::default()
        };
        Self { sample, ..Self::default() }
    }

    pub(super) fn lengths(&self) -> Lengths {
        Lengths {
            prompt: self.sample.prompt_tokens.unwrap_or(0),
            answer: self.sample.answer_tokens.filter(|_| self.answer_known).unwrap_or(0),
        }
    }
}

impl ConversationFacts {
    /// Fills in what each prompt shares with the conversation's own earlier requests, and gives
    /// the sum for each block size (of the requests with blocks).
    pub(super) fn own_history(&mut self, order: RequestOrder) -> Vec<(u32, u64)> {
        let mut sums: Vec<(u32, u64)> = Vec::new();
        let mut indices: Vec<usize> = (0..self.requests.len()).collect();
        if order == RequestOrder::SentTime {
            indices.sort_by_key(|&index| self.requests[index].sample.sent_at_ns);
        }
        let sizes = self.sequences.first().map_or(0, |sequence| sequence.chains.len());
        for size in 0..sizes {
            let mut cache = EndlessCache::default();
            let mut known = vec![Known::default(); self.sequences.len()];
            let mut sum = 0;
            for &index in &indices {
                let request = &mut self.requests[index];
                let Some(sequence) = request.sequence else { continue };
                let chain = &self.sequences[sequence].chains[size];
                let reused = cache.request(chain, &mut known[sequence], request.lengths());
                sum += reused;
                if size == 0 {
                    request.sample.own_history_tokens = Some(reused);
                }
            }
            sums.push((self.sequences[0].chains[size].block_size, sum));
        }
        sums
    }
}

/// By time where every request has one.
pub(super) fn order_of(conversations: &[Conversation]) -> RequestOrder {
    let mut any = false;
    let all_timed = conversations.iter().all(|conversation| {
        let turns = turns_count(conversation);
        any |= turns > 0;
        let recorded = &conversation.recorded;
        recorded.len() >= turns && recorded[..turns].iter().all(|turn| turn.sent_at_ns.is_some())
    });
    if any && all_timed { RequestOrder::SentTime } else { RequestOrder::File }
}

/// Requests of a conversation.
pub(super) fn turns_count(conversation: &Conversation) -> usize {
    if conversation.messages.is_empty() {
        conversation.recorded.len()
    } else {
        conversation.turns(RULES).len()
    }
}
