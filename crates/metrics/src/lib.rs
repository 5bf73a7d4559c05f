//! What each number of a run means, and how it is computed from raw records.
//!
//! Floor 1 of the workspace: imports the model and `random`; reads no clock and does no I/O. Everything
//! is a pure function from [`RequestRecord`](turnbench_model::RequestRecord)s to numbers;
//! percentiles are exact, from all samples, and nothing is ever averaged over averages.
//!
//! ```
//! use turnbench_metrics::{Describe, percents_for};
//!
//! let samples = [1.0, 2.0, 3.0, 4.0];
//! let describe = Describe::of_all(&samples, &percents_for(samples.len()));
//! assert_eq!(describe.percentile(50.0), Some(2.5));
//! assert_eq!(describe.percentile(99.0), None);
//! ```

mod cache_report;
mod capacity;
mod definitions;
mod describe;
mod environment;
mod interval;
mod ledger;
mod markdown;
mod nanos_samples;
mod report;
mod row;
mod selfcheck;
mod speeds;
mod summary;
mod text;
mod tiers_report;
mod verdict;
mod workload_report;

pub use cache_report::{
    CACHE_REPORT_SCHEMA_VERSION, CacheReport, CacheSampling, CacheSize, CurvePoint, FiniteCache,
    NeededCapacity, TierFound, TurnReuse,
};
pub use capacity::Capacity;
pub use definitions::{Definition, Group, Source, definition, definitions};
pub use describe::{Describe, Percentile, percents_for, quantile};
pub use environment::{ConversationCounts, Environment, RunFacts, ServerModel};
pub use interval::{CONFIDENCE, PercentileInterval};
pub use ledger::{
    BlockSizeSource, CacheLedger, Difference, DifferenceId, Finding, LEDGER_CONVERSATIONS,
    LedgerConversation, LedgerSums, LedgerTurn, PromptFacts, ReusableTokens, RunReuse, TierTokens,
    TokenCauses,
};
pub use markdown::metrics_markdown;
pub use nanos_samples::NanosSamples;
pub use report::{
    CacheTotals, ClientTrust, Counts, FAILED_REQUESTS_KEPT, FailedRequest, FailureCount, Headline,
    REPORT_SCHEMA_VERSION, ReportBuilder, RequestCounts, RunReport, ServerReport, Throughput,
    TierShare, TtftCorrection, TurnSummary,
};
pub use row::{RequestRow, RowOptions};
pub use selfcheck::{
    ClockQuality, LoadCheck, Machine, NetworkCheck, RAISE_HARD_FILE_LIMIT,
    SELFCHECK_SCHEMA_VERSION, SPARE_FILES, Selfcheck, Speed, advice,
};
pub use speeds::{
    SpeedBreakEven, SpeedFigure, SpeedObservation, SpeedOptions, SpeedReason, SpeedSample, Speeds,
    TierSpeed, speeds,
};
pub use summary::{MetricDescribe, OrderedRow, Summary, SummaryOptions, order_rows, summarize};
pub use text::grouped;
pub use tiers_report::{
    BreakEven, CannotTell, Estimate, ProbingEnd, PromptCost, Reach, Revisit,
    TIERS_REPORT_SCHEMA_VERSION, TierLevel, TiersNote, TiersReport,
};
pub use verdict::{Level, Note, NoteId, Reason, ReasonId, Verdict};
pub use workload_report::{
    Arrivals, BlockReuse, Distribution, HistogramBin, NamedCount, PromptGrowth, RequestOrder,
    RequestSample, RoleMessages, TokenBasis, WORKLOAD_REPORT_SCHEMA_VERSION, WorkloadReport,
    WorkloadSamples, WorkloadTimes,
};
