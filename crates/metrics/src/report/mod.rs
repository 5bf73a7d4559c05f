//! The run report: every number of a run, from raw records, in one versioned value.

mod builder;
mod cache;
mod concurrency;
mod counts;
mod server;
mod shared_stamp;
mod throughput;
mod trust;
mod turns;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::Plan;

pub use builder::ReportBuilder;
pub use cache::CacheTotals;
pub use counts::{
    Counts, FAILED_REQUESTS_KEPT, FailedRequest, FailureCount, RequestCounts, TtftCorrection,
};
pub use server::{ServerReport, TierShare};
pub use throughput::Throughput;
pub use trust::ClientTrust;
pub use turns::TurnSummary;

use crate::{
    CacheLedger, Describe, Environment, MetricDescribe, PercentileInterval, Summary, Verdict,
};

/// Version of the report's serialised form.
pub const REPORT_SCHEMA_VERSION: u32 = 1;

/// Everything that a run's raw records say, computed once. Tables, exports and comparisons read
/// this and compute no metric themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    /// [`REPORT_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The resolved plan of the run.
    pub plan: Plan,
    /// Where it took place.
    pub environment: Environment,
    /// What was done, and what became of it.
    pub counts: Counts,
    /// Rates over the true span of the run.
    pub throughput: Throughput,
    /// The reference-compatible tables, one for each warm-up fraction.
    pub summaries: Vec<Summary>,
    /// Requests whose TTFT those tables lower for a first chunk of several tokens.
    pub ttft_correction: TtftCorrection,
    /// Headline percentiles with confidence intervals.
    pub headlines: Vec<Headline>,
    /// Every metric over the whole run.
    pub metrics: Vec<MetricDescribe>,
    /// By turn of the conversation, ascending.
    pub turns: Vec<TurnSummary>,
    /// All turns after the first taken together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later_turns: Option<TurnSummary>,
    /// Prompt and cached tokens as the server reported them.
    pub cache: CacheTotals,
    /// What the server said of itself; `None`: it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerReport>,
    /// What the cache did, and what it could have done.
    #[serde(default)]
    pub ledger: CacheLedger,
    /// What the client itself may have added.
    pub client: ClientTrust,
    /// How far the numbers can be trusted, and why not further.
    pub verdict: Verdict,
}

/// The headline percentiles of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Headline {
    /// Id of the metric in the table of definitions.
    pub id: String,
    /// p50, p90 and p99.
    pub percentiles: Vec<PercentileInterval>,
}

impl RunReport {
    /// The description of a metric over the whole run.
    pub fn metric(&self, id: &str) -> Option<&Describe> {
        self.metrics.iter().find(|metric| metric.id == id).map(|metric| &metric.describe)
    }
}
