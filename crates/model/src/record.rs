use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Content, HistoryReasoning, Message, Nanos, Outcome, Stamps};

/// The part of a run to which a request belongs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// `--warmup-step`: measured, recorded, left out of the statistics.
    Warmup,
    /// The run proper.
    #[default]
    Main,
}

/// The raw facts of one attempt. Nothing in it is computed from anything else in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestRecord {
    /// Id of the conversation.
    pub conversation_id: Arc<str>,
    /// Its index in the workload, from 0.
    pub conversation: u32,
    /// Turn within the conversation, from 1.
    pub turn: u32,
    /// Attempt at this turn, from 1.
    pub attempt: u32,
    /// Whether this attempt ends the turn: it completed, or no retry follows.
    pub last_attempt: bool,
    /// Whether the conversation ended with this attempt: finished if it completed, failed if not.
    #[serde(default)]
    pub ends_conversation: bool,
    /// The client (`--num-clients`), from 0.
    pub client: u32,
    /// Connection number within the run, from 0; absent when none could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<u32>,
    /// Part of the run.
    pub phase: Phase,
    /// Messages sent, counting the history (what the reference calls turns).
    pub input_messages: u32,
    /// Bytes of the request body.
    pub request_bytes: u64,
    /// `max_tokens` as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How it ended.
    pub outcome: Outcome,
    /// When what happened.
    pub stamps: Stamps,
    /// What came back.
    pub answer: Answer,
    /// Token counts as the server reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Times as the server itself measured them, where it reports any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_times: Option<ServerTimes>,
    /// How often it was sent anew because its idle connection turned out closed: 0 or 1. The stamps
    /// are those of the last sending.
    #[serde(default)]
    pub reconnects_count: u32,
    /// Socket reads of the response.
    pub reads_count: u32,
    /// Largest delay between the kernel's receipt of bytes and their read; absent without kernel stamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_delay_max_ns: Option<Nanos>,
}

/// What came back for one attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// All content text.
    pub content: String,
    /// All reasoning text (`reasoning` or `reasoning_content`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// Tool calls, assembled from their deltas, in the API's form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Value>,
    /// Text of the first token-carrying event (content, reasoning or tool-call text).
    pub first_chunk: String,
    /// Arrival of each token-carrying event, relative to `sent`.
    pub chunks_ns: Vec<Nanos>,
    /// For each of them, how long it had lain in the kernel when the client read it; 0 where the
    /// client stamped the arrival itself. Events of one read have the same arrival and delay: those
    /// of the last segment in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunk_delays_ns: Vec<Nanos>,
    /// Indices, ascending, of those whose arrival the client stamped itself; the kernel stamped the
    /// others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_stamped_chunks: Vec<u32>,
    /// `finish_reason` of the first choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Whether `data: [DONE]` was seen.
    pub done: bool,
}

impl Answer {
    /// The answer as a message of the history: its content (`null` beside tool calls when there is
    /// none), its tool calls, and its reasoning where it is to be kept.
    pub fn to_message(&self, reasoning: HistoryReasoning) -> Message {
        let mut message = Message::new("assistant", self.content.clone());
        if self.content.is_empty() && !self.tool_calls.is_empty() {
            message.content = Content::Null;
        }
        if reasoning == HistoryReasoning::Keep && !self.reasoning.is_empty() {
            message.extra.insert("reasoning_content".to_owned(), self.reasoning.clone().into());
        }
        if !self.tool_calls.is_empty() {
            message.extra.insert("tool_calls".to_owned(), Value::Array(self.tool_calls.clone()));
        }
        message
    }
}

/// `usage` as the server reported it; absent means not reported, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// `prompt_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// `completion_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// `prompt_tokens_details.cached_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Where the cached tokens were, where the server tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_by_tier: Option<CachedByTier>,
    /// Where `cached_tokens` was read, if not in `prompt_tokens_details`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_source: Option<CachedSource>,
    /// `completion_tokens_details.reasoning_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

/// Cached tokens of a prompt by where they were: SGLang's `sglext.cached_tokens_details`, which a
/// request asks for with `return_cached_tokens_details: true` (SGLang 0.5.23). Absent means not
/// reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CachedByTier {
    /// In the device's own memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u64>,
    /// In the host's memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<u64>,
    /// In the storage behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<u64>,
    /// Which storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_backend: Option<String>,
}

/// Where the number of cached tokens was read when the usage had none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CachedSource {
    /// llama.cpp's `timings.cache_n`.
    LlamaTimings,
    /// The sum of [`CachedByTier`].
    Tiers,
}

/// The server's own times of one request: vLLM's `metrics` object, which a server started with
/// `--enable-per-request-metrics` puts beside `usage` (vLLM 0.32). Absent means not reported.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerTimes {
    /// From when the scheduler took the request to its first token, in ms; the time in the queue
    /// comes before it (vLLM 0.32, as recorded).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<f64>,
    /// From the first token to the last, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_time_ms: Option<f64>,
    /// In the server's queue, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_time_ms: Option<f64>,
    /// Mean time between tokens, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_itl_ms: Option<f64>,
}

/// Where a token count comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountSource {
    /// The server's `usage`.
    Server,
    /// The local tokenizer, over the text, without special tokens.
    Tokenizer,
    /// Neither was to be had: one token for each token-carrying event.
    Chunks,
}

/// Token counts of one attempt made after the run by the local tokenizer, without special tokens.
/// Kept beside the records because the records hold raw facts only. `None`: no tokenizer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenCounts {
    /// Sum over all messages sent.
    pub input: Option<u64>,
    /// Last message sent.
    pub question: Option<u64>,
    /// Whole answer (content, reasoning and tool-call text).
    pub output: Option<u64>,
    /// First token-carrying event.
    pub first_chunk: Option<u64>,
}
