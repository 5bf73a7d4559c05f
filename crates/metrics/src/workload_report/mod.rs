mod growth;
mod histogram;
mod samples;
mod times;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use growth::PromptGrowth;
pub use histogram::{Distribution, HistogramBin};
pub use samples::{RequestSample, WorkloadSamples};
pub use times::{Arrivals, WorkloadTimes};

use crate::{Describe, percents_for};

/// Version of [`WorkloadReport`]'s JSON form.
pub const WORKLOAD_REPORT_SCHEMA_VERSION: u32 = 1;

/// What is in a workload, before any server is involved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadReport {
    /// [`WORKLOAD_REPORT_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The file, as typed.
    pub file: String,
    /// The format that it was read as.
    pub format: String,
    /// Where the numbers of tokens come from.
    pub token_basis: TokenBasis,
    /// Conversations.
    pub conversations: u64,
    /// Requests (turns) of all conversations.
    pub requests: u64,
    /// Messages of all conversations, answers included; 0 in traces without text.
    pub messages: u64,
    /// Messages with parts that are no text (images, audio), whose tokens are in no number here.
    pub messages_with_media: u64,
    /// Conversations that were started by another one.
    pub sub_conversations: u64,
    /// Requests by the model that the data set names, most frequent first; empty where it names
    /// none.
    pub models: Vec<NamedCount>,
    /// Turns of a conversation.
    pub turns_per_conversation: Distribution,
    /// Messages of a conversation; empty in traces without text.
    pub messages_per_conversation: Distribution,
    /// Messages by role, most frequent first.
    pub roles: Vec<RoleMessages>,
    /// Tokens of a message.
    pub message_tokens: Distribution,
    /// Tokens of a whole prompt.
    pub prompt_tokens: Distribution,
    /// Tokens of the messages that a turn adds to the history, with the tools on the first turn.
    /// Turns without a history have none.
    pub new_tokens: Distribution,
    /// Tokens of a recorded answer.
    pub answer_tokens: Distribution,
    /// How prompts grow, by turn, ascending.
    pub growth: Vec<PromptGrowth>,
    /// What an endless prefix cache could reuse, one entry for each block size, ascending.
    pub reuse: Vec<BlockReuse>,
    /// In which order requests were taken for that.
    pub order: RequestOrder,
    /// What is known of times.
    pub times: WorkloadTimes,
}

/// Where the numbers of tokens come from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum TokenBasis {
    /// A tokenizer, message by message; a prompt is its messages one after another.
    Messages {
        /// Its name.
        tokenizer: String,
    },
    /// A tokenizer, on prompts as its chat template renders them.
    ChatTemplate {
        /// Its name.
        tokenizer: String,
        /// Conversations that the template rejects; their messages stand one after another.
        rejected_conversations: u64,
    },
    /// The server's own `/tokenize`, for the messages.
    Server,
    /// The trace: lengths as recorded, and the names of the prompts' blocks.
    BlockNames,
    /// The data set: lengths as recorded; what prompts share is not known.
    Lengths,
    /// Nothing: there is no tokenizer.
    None,
}

/// In which order an endless cache sees requests. Each one ends before the next begins.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestOrder {
    /// Conversation by conversation, as they stand in the file.
    #[default]
    File,
    /// By the recorded times of sending.
    SentTime,
}

/// A name and how often it is there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamedCount {
    /// The name.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// The messages of one role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleMessages {
    /// The role.
    pub role: String,
    /// Messages.
    pub messages: u64,
    /// Tokens of a message; without a tokenizer it has no value.
    pub tokens: Describe,
}

/// What an endless prefix cache with blocks of one size could reuse: leading full blocks of a
/// prompt that are blocks of an earlier prompt, or of its recorded answer.
///
/// As in vLLM the last token of a prompt is always computed, so that the block that it fills is
/// not reused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlockReuse {
    /// Tokens in a block.
    pub block_size: u32,
    /// Requests whose blocks are known.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens in distinct blocks of their prompts. A partial last block counts, unless the
    /// conversation's next prompt continues it.
    pub distinct_tokens: u64,
    /// Reusable tokens that are blocks of an earlier request of the same conversation.
    pub own_history_tokens: u64,
    /// Reusable tokens that are blocks of any earlier request.
    pub any_request_tokens: u64,
    /// `own_history_tokens / prompt_tokens`; `None` without prompt tokens.
    pub own_history_ratio: Option<f64>,
    /// `any_request_tokens / prompt_tokens`; `None` without prompt tokens.
    pub any_request_ratio: Option<f64>,
    /// Whether the recorded answers are in the cache; a trace's block names don't tell them.
    pub answers_cached: bool,
}

impl BlockReuse {
    /// The entry with its ratios, which follow from the other numbers.
    #[must_use]
    pub fn with_ratios(self) -> Self {
        let ratio =
            |tokens| (self.prompt_tokens > 0).then(|| tokens as f64 / self.prompt_tokens as f64);
        Self {
            own_history_ratio: ratio(self.own_history_tokens),
            any_request_ratio: ratio(self.any_request_tokens),
            ..self
        }
    }
}

impl WorkloadReport {
    /// Builds the report. Pure: the same samples give the same report.
    pub fn build(samples: WorkloadSamples) -> Self {
        let requests = &samples.requests;
        let of = |value: fn(&RequestSample) -> Option<u64>| {
            Distribution::of(requests.iter().filter_map(value).map(|value| value as f64).collect())
        };
        let all_message_tokens = samples.message_tokens.values().flatten();
        Self {
            schema_version: WORKLOAD_REPORT_SCHEMA_VERSION,
            conversations: samples.conversation_turns.len() as u64,
            requests: requests.len() as u64,
            messages: samples.messages.values().sum(),
            messages_with_media: samples.messages_with_media,
            sub_conversations: samples.sub_conversations,
            models: models(requests),
            turns_per_conversation: Distribution::of_counts(&samples.conversation_turns),
            messages_per_conversation: Distribution::of_counts(&samples.conversation_messages),
            roles: roles(&samples.messages, &samples.message_tokens),
            message_tokens: Distribution::of(all_message_tokens.map(|&one| one.into()).collect()),
            prompt_tokens: of(|request| request.prompt_tokens),
            new_tokens: of(|request| request.new_tokens),
            answer_tokens: of(|request| request.answer_tokens),
            growth: PromptGrowth::of_all(requests),
            reuse: samples.reuse.into_iter().map(BlockReuse::with_ratios).collect(),
            order: samples.order,
            times: WorkloadTimes::of(requests),
            file: samples.file,
            format: samples.format,
            token_basis: samples.token_basis,
        }
    }
}

fn models(requests: &[RequestSample]) -> Vec<NamedCount> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for model in requests.iter().filter_map(|request| request.model.as_deref()) {
        *counts.entry(model).or_default() += 1;
    }
    let named = |(name, count): (&str, u64)| NamedCount { name: name.to_owned(), count };
    let mut models: Vec<NamedCount> = counts.into_iter().map(named).collect();
    models.sort_by_key(|model| std::cmp::Reverse(model.count));
    models
}

fn roles(counts: &BTreeMap<String, u64>, tokens: &BTreeMap<String, Vec<u32>>) -> Vec<RoleMessages> {
    let role = |(role, &messages): (&String, &u64)| {
        let tokens = tokens.get(role).map(Vec::as_slice).unwrap_or_default();
        let tokens: Vec<f64> = tokens.iter().map(|&count| count.into()).collect();
        let tokens = Describe::of_all(&tokens, &percents_for(tokens.len()));
        RoleMessages { role: role.clone(), messages, tokens }
    };
    let mut roles: Vec<RoleMessages> = counts.iter().map(role).collect();
    roles.sort_by_key(|role| std::cmp::Reverse(role.messages));
    roles
}
