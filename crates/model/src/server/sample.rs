use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Nanos;

/// When a page of metrics was asked for.
#[derive(
    Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SampleMoment {
    /// Before the warm-up, where there is one.
    Start,
    /// Before the first request of the run proper. Of several the last counts.
    Before,
    /// While the run proper goes.
    During,
    /// After the last answer. Of several the last counts.
    After,
}

/// A question for a server's metrics, and the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsSample {
    /// URL that was asked.
    pub source: Arc<str>,
    /// When, as a part of the run.
    pub moment: SampleMoment,
    /// When, since the run's epoch: half-way between asking and having the whole page.
    pub at_ns: Nanos,
    /// Half the time between the two; the page is from `at_ns` give or take this.
    pub half_width_ns: Nanos,
    /// The answer.
    pub scrape: Scrape,
}

/// What came of a question for metrics.
#[derive(Clone, Debug, PartialEq)]
pub enum Scrape {
    /// A page.
    Page(MetricsPage),
    /// Why there is none.
    Failed(String),
}

/// A page of metrics: each series as the format writes it, labels ascending, and its value, which
/// may be NaN or infinite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsPage {
    /// Values by series.
    pub series: BTreeMap<Arc<str>, f64>,
    /// Lines that could not be understood.
    pub bad_lines: u64,
    /// Series over the limit, left out.
    pub left_out: u64,
}
