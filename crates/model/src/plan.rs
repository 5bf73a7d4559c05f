use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{FillPlan, Nanos, TurnRules};

/// Version of the plan's serialised form.
pub const PLAN_SCHEMA_VERSION: u32 = 1;

/// Every knob of a run, resolved: what the user typed, the defaults, and what was derived.
/// Saved as `plan.json` in the run directory. Secrets are never in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// [`PLAN_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Whether a reference program's behaviour is reproduced.
    pub compat: Compat,
    /// Where requests go.
    pub target: Target,
    /// What is sent.
    pub workload: WorkloadPlan,
    /// Who sends it, and when.
    pub load: LoadPlan,
    /// How each request is formed.
    pub request: RequestPlan,
    /// The client itself.
    #[serde(default)]
    pub client: ClientPlan,
    /// Where and how often the server's metrics are asked for; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsPlan>,
    /// How the number of active conversations was chosen, if by the cache's size (`--fill-cache`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<FillPlan>,
    /// How the cache ledger is made.
    #[serde(default)]
    pub ledger: LedgerPlan,
    /// Fractions (0..1, ascending) of the first requests to leave out, one table each.
    pub warmup_fractions: Vec<f64>,
}

/// A reference program whose behaviour is reproduced exactly.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compat {
    /// turnbench's own behaviour.
    #[default]
    None,
    /// vLLM's `benchmark_serving_multi_turn.py`.
    Vllm,
}

/// The server and how to reach it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Base URL, without a trailing slash (kept as typed in compat mode).
    pub url: String,
    /// Model name sent in requests.
    pub served_model_name: String,
    /// Names of extra request headers; values may be secrets and are not kept.
    pub header_names: Vec<String>,
    /// Whether an API key is sent.
    pub api_key: bool,
    /// Whether TLS certificates go unchecked (`--insecure`).
    pub insecure: bool,
    /// Extra CA certificates (`--ca-cert`).
    pub ca_cert: Option<String>,
}

/// The workload and the tokenizer that measures it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadPlan {
    /// `--model` as typed.
    pub model: String,
    /// Input file as typed.
    pub input_file: String,
    /// SHA-256 of the input file, in hex; `None` when not all of it was read.
    pub input_sha256: Option<String>,
    /// What the input file holds.
    pub source: WorkloadSource,
    /// Conversations in the workload.
    pub conversations_count: u32,
    /// Tokenizer in use.
    pub tokenizer: TokenizerSource,
    /// Seed of every random stream.
    pub seed: u64,
}

/// The kind of input file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum WorkloadSource {
    /// A generator config; `parameters` are its lines in the parameter block of the table.
    Generator {
        /// (name, text) pairs, e.g. `("input_num_tokens", "Constant[500]")`.
        parameters: Vec<(String, String)>,
    },
    /// A data set or trace.
    DataSet {
        /// Its format, e.g. `mooncake`.
        format: String,
    },
}

/// Where tokens are counted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum TokenizerSource {
    /// A directory with `tokenizer.json`.
    Directory(String),
    /// A Hugging Face Hub id.
    Hub(String),
    /// A vocabulary inside the binary, e.g. `o200k_base`.
    Builtin(String),
    /// The server's `/tokenize` and `/detokenize`.
    Server,
    /// No tokenizer: only what the server reports.
    None,
}

impl WorkloadPlan {
    /// The tokenizer's name, as it is typed.
    pub fn tokenizer_name(&self) -> &str {
        match &self.tokenizer {
            TokenizerSource::Directory(name)
            | TokenizerSource::Hub(name)
            | TokenizerSource::Builtin(name) => name,
            TokenizerSource::Server => "server",
            TokenizerSource::None => "none",
        }
    }
}

/// Who sends which conversation, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadPlan {
    /// Concurrent clients (`-p`), at least 1.
    pub num_clients: u32,
    /// Conversations kept open over all clients (`-k`), at least `num_clients`.
    pub max_active_conversations: u32,
    /// Requests over all clients (`-n`); retries are not counted. `None`: all.
    pub max_num_requests: Option<u64>,
    /// Most messages a request may carry (`--max-turns`); `None`: all.
    pub max_turns: Option<u32>,
    /// Stop everything when the first client runs out of work. The reference does so unless told
    /// `--no-early-stop`; otherwise only on demand.
    pub early_stop: bool,
    /// Requests per second and client, slept after each answer (0: no sleep).
    pub request_rate: f64,
    /// Retries after a failed attempt.
    pub max_retries: u32,
    /// How a client picks among its open conversations.
    pub sampling: Sampling,
    /// Send every conversation's first turn before the measured run (`--warmup-step`).
    pub warmup_step: bool,
    /// Seed of the load's own random streams.
    pub seed: u64,
    /// Exact behaviour of a reference program.
    pub compat: Compat,
}

/// What the client works with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientPlan {
    /// Threads that the clients are spread over (`--threads`), each with an event loop of its own;
    /// at least 1, at most `num_clients`.
    pub threads: u32,
    /// Open every client's connection before the first request (`--connections-warm`).
    pub connections_warm: bool,
    /// Whether the server's address is one of this machine's own, so that client and server share
    /// its cores.
    pub server_on_this_host: bool,
}

impl Default for ClientPlan {
    fn default() -> Self {
        Self { threads: 1, connections_warm: false, server_on_this_host: false }
    }
}

/// How it is worked out what of prompts could have been reused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerPlan {
    /// Whose token ids prompts are made of (`--prompt-tokens`).
    pub prompt_tokens: PromptTokens,
    /// Tokens in a block (`--block-size`); `None`: as the server's metrics say.
    pub block_tokens: Option<u32>,
    /// Bytes that the model keeps for a token; `None` where nothing tells.
    pub kv_bytes_per_token: Option<f64>,
}

/// Whose token ids the prompts of a run are made of, after it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptTokens {
    /// The best that is to be had.
    #[default]
    Auto,
    /// The local tokenizer's, on prompts as its chat template renders them.
    Template,
    /// The server's own, from its `/tokenize`.
    Server,
    /// The local tokenizer's, on messages one after another.
    Messages,
    /// None: no ideal is worked out.
    None,
}

/// How the server's metrics are watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsPlan {
    /// URLs asked, without user or password.
    pub urls: Vec<String>,
    /// Time from one question to the next while the run goes; `None`: only before and after.
    pub interval_ns: Option<Nanos>,
}

/// How a client picks the next conversation among its open ones.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// First in, first out.
    #[default]
    RoundRobin,
    /// Uniformly at random, from the seed.
    Random,
}

/// How each request is formed and judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestPlan {
    /// Stream the answer.
    pub stream: bool,
    /// `--limit-min-tokens`: positive = this many, 0 = as the data set's answer, negative = none.
    pub limit_min_tokens: i64,
    /// `--limit-max-tokens`: as above.
    pub limit_max_tokens: i64,
    /// Whether `min_tokens` is sent.
    pub send_min_tokens: bool,
    /// Whether `ignore_eos` is sent.
    pub ignore_eos: bool,
    /// Shortest time limit of a request; it grows with `max_tokens` (0.2 s each).
    pub timeout_ns: Nanos,
    /// Send the conversation's id in the body and as `X-Session-ID`.
    pub send_conversation_id: bool,
    /// Fail answers that differ from the data set's (`--verify-output`).
    pub verify_output: bool,
    /// Whose answers become history.
    #[serde(default)]
    pub history: History,
    /// Whether reasoning text goes into the history.
    pub history_reasoning: HistoryReasoning,
    /// Extra keys of every request body.
    pub extra_body: Map<String, Value>,
    /// Exact behaviour of a reference program.
    pub compat: Compat,
}

impl RequestPlan {
    /// How conversations are taken apart into turns.
    pub const fn turn_rules(&self) -> TurnRules {
        TurnRules { compat: self.compat, history: self.history }
    }
}

/// Whose answers become the history of later turns.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// The server's own, exactly as received, except where recorded messages refer to the recorded
    /// answer (results of its tool calls).
    #[default]
    Live,
    /// The recorded ones, where there are any.
    Recorded,
}

/// What becomes of an answer's reasoning text in the history.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryReasoning {
    /// Left out, as chat templates of reasoning models expect.
    #[default]
    Drop,
    /// Sent back as `reasoning_content`.
    Keep,
}
