use turnbench_kvcache::BlockHash;
use turnbench_metrics::{RequestOrder, RequestSample};
use turnbench_model::{Conversation, History, RecordedTurn, TurnRules};

use super::sequence::Sequence;

/// Prompts are those of the recorded history.
pub(crate) const RULES: TurnRules =
    TurnRules { compat: turnbench_model::Compat::None, history: History::Recorded };

/// What is kept of a conversation once its tokens are forgotten.
#[derive(Debug, Default)]
pub(crate) struct ConversationFacts {
    /// Tokens of each message, in order; empty when they are not counted.
    pub(crate) message_tokens: Vec<u32>,
    pub(crate) requests: Vec<RequestFacts>,
    pub(crate) sequences: Vec<Sequence>,
    /// Whether the chat template rejects the messages.
    pub(crate) rejected: bool,
}

/// One request.
#[derive(Debug, Default)]
pub(crate) struct RequestFacts {
    pub(crate) sample: RequestSample,
    /// The sequence that the prompt is the beginning of.
    pub(crate) sequence: Option<usize>,
    /// Names of the prompt's partial last block, one for each block size; empty where the next
    /// prompt continues it.
    pub(crate) tails: Vec<Option<BlockHash>>,
    /// Prompt tokens of a trace that no block name stands for.
    pub(crate) unnamed_tokens: u64,
    /// Whether the answer's blocks follow in the sequence.
    pub(crate) answer_known: bool,
}

/// Lengths of a request, in tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) prompt: u64,
    /// 0 where the answer's blocks are not known.
    pub(crate) answer: u64,
}

impl RequestFacts {
    /// What is recorded of a request; `turn` from 0.
    pub(crate) fn recorded(
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

    pub(crate) fn lengths(&self) -> Lengths {
        Lengths {
            prompt: self.sample.prompt_tokens.unwrap_or(0),
            answer: self.sample.answer_tokens.filter(|_| self.answer_known).unwrap_or(0),
        }
    }
}

/// By time where every request has one.
pub(crate) fn order_of(conversations: &[Conversation]) -> RequestOrder {
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
pub(crate) fn turns_count(conversation: &Conversation) -> usize {
    if conversation.messages.is_empty() {
        conversation.recorded.len()
    } else {
        conversation.turns(RULES).len()
    }
}
