use std::collections::BTreeMap;

use turnbench_model::Nanos;

use super::{BlockReuse, RequestOrder, TokenBasis};

/// What a [`WorkloadReport`](super::WorkloadReport) is made of.
#[derive(Clone, Debug)]
pub struct WorkloadSamples {
    /// The file, as typed.
    pub file: String,
    /// The format that it was read as.
    pub format: String,
    /// Where the numbers of tokens come from.
    pub token_basis: TokenBasis,
    /// Turns of each conversation.
    pub conversation_turns: Vec<u32>,
    /// Messages of each conversation that has any.
    pub conversation_messages: Vec<u32>,
    /// Conversations that were started by another one.
    pub sub_conversations: u64,
    /// Messages by role.
    pub messages: BTreeMap<String, u64>,
    /// Messages with parts that are no text.
    pub messages_with_media: u64,
    /// Tokens of each message, by role; empty without a tokenizer.
    pub message_tokens: BTreeMap<String, Vec<u32>>,
    /// Every request, conversation by conversation.
    pub requests: Vec<RequestSample>,
    /// What a cache could reuse, by block size; ratios may be missing.
    pub reuse: Vec<BlockReuse>,
    /// The order of requests that `reuse` is about.
    pub order: RequestOrder,
}

/// One request of a workload.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestSample {
    /// Index of its conversation, from 0.
    pub conversation: u32,
    /// Turn within the conversation, from 1.
    pub turn: u32,
    /// Tokens of the whole prompt.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the messages that it adds to the history.
    pub new_tokens: Option<u64>,
    /// Tokens of the recorded answer.
    pub answer_tokens: Option<u64>,
    /// Tokens that a cache of the smallest block size could reuse from the conversation's own
    /// earlier requests.
    pub own_history_tokens: Option<u64>,
    /// The same from any earlier request.
    pub any_request_tokens: Option<u64>,
    /// When it was sent, since the beginning of the trace.
    pub sent_at_ns: Option<Nanos>,
    /// Pause before it, since the end of the last answer.
    pub think_time_ns: Option<Nanos>,
    /// Recorded time of the whole answer.
    pub latency_ns: Option<Nanos>,
    /// Recorded time of the first token.
    pub ttft_ns: Option<Nanos>,
    /// Model that it went to.
    pub model: Option<String>,
}
