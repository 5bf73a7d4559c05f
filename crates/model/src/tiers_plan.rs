use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{MetricsPlan, Nanos, RequestPlan, Target};

/// Version of the plan's serialised form.
pub const TIERS_PLAN_SCHEMA_VERSION: u32 = 1;

/// Every knob of `turnbench cache tiers`, resolved. Saved as `tiers_plan.json` in the run directory. With
/// it and the records, in their order, what was sent when is known: conversation numbers are prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TiersPlan {
    /// [`TIERS_PLAN_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Where requests go.
    pub target: Target,
    /// How each request is formed.
    pub request: RequestPlan,
    /// Where the server's metrics are asked for; `None`: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsPlan>,
    /// How long it may take.
    pub budget_ns: Nanos,
    /// Seed of the prompts' text; new each time, so that no earlier run's prompts are met.
    pub seed: u64,
    /// Length of prompts in tokens, where it was given.
    pub prompt_tokens: Option<u32>,
    /// Bytes that the model keeps for a token, where they are known.
    pub kv_bytes_per_token: Option<f64>,
}
