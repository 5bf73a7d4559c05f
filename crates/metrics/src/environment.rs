use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::{Nanos, OpenedConnection, ShardFacts};

use crate::Capacity;

/// Where a run took place. Saved beside the plan; holds no host name, user name or secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Version of turnbench.
    pub turnbench_version: String,
    /// Wall-clock time of the run's epoch, from which every stamp counts: ns since the Unix epoch.
    pub started_unix_ns: u64,
    /// Operating system, e.g. `linux`.
    pub os: String,
    /// Kernel release, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// CPU model of the client's machine, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    /// Logical cores that the client may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_cores: Option<u32>,
    /// What the client's machine carries, where `turnbench selfcheck` was run on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// What the server says its version is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// Models that the server lists.
    #[serde(default)]
    pub server_models: Vec<ServerModel>,
}

/// A model that the server lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerModel {
    /// Its name in requests.
    pub id: String,
    /// Longest prompt plus answer, in tokens, where reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<u64>,
}

/// What the load generator knows about a run and the records do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFacts {
    /// What became of the conversations.
    pub conversations: ConversationCounts,
    /// Wall time of the warm-up step, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_runtime_ns: Option<Nanos>,
    /// Whether the run was cut short (Ctrl-C, or a crash before the end).
    pub interrupted: bool,
    /// Records that had to wait because the recorder's channel was full.
    #[serde(default)]
    pub record_waits: u64,
    /// What each of the client's threads did in the run proper.
    #[serde(default)]
    pub shards: Vec<ShardFacts>,
    /// Connections opened before the first request (`--connections-warm`).
    #[serde(default)]
    pub warm_connections: Vec<OpenedConnection>,
    /// Whether the time between turns belongs in the table (`--verbose`).
    #[serde(default)]
    pub between_turns: bool,
}

/// What became of the conversations of a workload. The four parts add up to `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationCounts {
    /// Conversations in the workload.
    pub total: u64,
    /// Every turn that was to be sent was answered.
    pub finished: u64,
    /// Begun and neither finished nor failed when the run ended.
    pub unfinished: u64,
    /// Given up after a failed request.
    pub failed: u64,
    /// Never begun.
    pub not_started: u64,
}
