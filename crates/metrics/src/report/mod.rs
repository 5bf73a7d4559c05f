//! The run report: every number of a run, from raw records, in one versioned value.

mod cache;
mod counts;
mod throughput;
mod trust;
mod turns;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::{Phase, Plan, RequestRecord, TokenCounts};

pub use cache::CacheTotals;
pub use counts::{
    Counts, FAILED_REQUESTS_KEPT, FailedRequest, FailureCount, RequestCounts, TtftCorrection,
};
pub use throughput::Throughput;
pub use trust::ClientTrust;
pub use turns::TurnSummary;

use crate::row::gaps_ms;
use crate::{
    Describe, Environment, MetricDescribe, PercentileInterval, RequestRow, RowOptions, RunFacts,
    Summary, SummaryOptions, percents_for, summarize,
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
    /// What the client itself may have added.
    pub client: ClientTrust,
}

/// The headline percentiles of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Headline {
    /// Id of the metric in the table of definitions.
    pub id: String,
    /// p50, p90 and p99.
    pub percentiles: Vec<PercentileInterval>,
}

/// What a report is built from.
#[derive(Clone, Copy, Debug)]
pub struct ReportInput<'a> {
    /// The resolved plan.
    pub plan: &'a Plan,
    /// Where the run took place.
    pub environment: &'a Environment,
    /// Every attempt, in order of arrival.
    pub records: &'a [RequestRecord],
    /// Local token counts, one for each record; missing ones count as "no tokenizer".
    pub counts: &'a [TokenCounts],
    /// What the load generator knows.
    pub facts: &'a RunFacts,
}

impl ReportInput<'_> {
    /// The rows of the run proper (no warm-up step), in order of arrival.
    pub fn rows(&self) -> Vec<RequestRow> {
        let options = RowOptions::of(self.plan);
        let none = TokenCounts::default();
        let row = |(index, record): (usize, &RequestRecord)| {
            RequestRow::from_record(record, self.counts.get(index).unwrap_or(&none), options)
        };
        let main = |(_, record): &(usize, &RequestRecord)| record.phase == Phase::Main;
        self.records.iter().enumerate().filter(main).filter_map(row).collect()
    }
}

impl RunReport {
    /// Builds the report. Pure: the same input gives the same report.
    pub fn build(input: &ReportInput<'_>) -> Self {
        let rows = input.rows();
        let main: Vec<&RequestRecord> =
            input.records.iter().filter(|record| record.phase == Phase::Main).collect();
        Self {
            schema_version: REPORT_SCHEMA_VERSION,
            plan: input.plan.clone(),
            environment: input.environment.clone(),
            counts: Counts::of(input.records, input.facts),
            throughput: Throughput::of(&main, &rows),
            summaries: summarize(&rows, &summary_options(input)),
            ttft_correction: TtftCorrection::of(&rows),
            headlines: headlines(&rows),
            metrics: whole_run(&main, &rows),
            turns: TurnSummary::of_all(&rows),
            later_turns: TurnSummary::of_later(&rows),
            cache: CacheTotals::of(&rows),
            client: ClientTrust::of(&main, input.facts),
        }
    }

    /// The description of a metric over the whole run.
    pub fn metric(&self, id: &str) -> Option<&Describe> {
        self.metrics.iter().find(|metric| metric.id == id).map(|metric| &metric.describe)
    }
}

fn summary_options(input: &ReportInput<'_>) -> SummaryOptions {
    SummaryOptions {
        warmup_fractions: if input.plan.warmup_fractions.is_empty() {
            vec![0.0]
        } else {
            input.plan.warmup_fractions.clone()
        },
        warmup_runtime_sec: input.facts.warmup_runtime_ns.map(turnbench_model::Nanos::as_secs_f64),
        between_turns: input.facts.between_turns,
    }
}

fn headlines(rows: &[RequestRow]) -> Vec<Headline> {
    type Value = fn(&RequestRow) -> Option<f64>;
    let metrics: [(&str, Value); 3] = [
        ("ttft_raw_ms", |row| row.ttft_raw_ms),
        ("tpot_ms", |row| row.tpot_ms),
        ("latency_ms", |row| Some(row.latency_ms)),
    ];
    let headline = |(id, value): (&str, Value)| {
        let mut sorted: Vec<f64> = rows.iter().filter_map(value).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Headline {
            id: id.to_owned(),
            percentiles: [50.0, 90.0, 99.0].map(|p| PercentileInterval::of(&sorted, p)).into(),
        }
    };
    metrics.into_iter().map(headline).collect()
}

/// Every metric of the run: one sample for each completed request, and for `itl_ms` one for each
/// gap between chunks. A metric without any sample is left out.
fn whole_run(main: &[&RequestRecord], rows: &[RequestRow]) -> Vec<MetricDescribe> {
    type Value = fn(&RequestRow) -> Option<f64>;
    let metrics: [(&str, Value); 18] = [
        ("ttft_ms", |row| row.ttft_ms),
        ("ttft_raw_ms", |row| row.ttft_raw_ms),
        ("ttft_intended_ms", |row| row.ttft_intended_ms),
        ("first_event_ms", |row| row.first_event_ms),
        ("tpot_ms", |row| row.tpot_ms),
        ("last_token_ms", |row| row.last_token_ms),
        ("latency_ms", |row| Some(row.latency_ms)),
        ("connect_ms", |row| row.connect_ms),
        ("send_lateness_ms", |row| Some(row.send_lateness_ms)),
        ("client_delay_ms", |row| row.client_delay_ms),
        ("input_num_turns", |row| Some(f64::from(row.input_num_turns))),
        ("input_num_tokens", |row| as_f64(row.input_num_tokens)),
        ("output_num_tokens", |row| as_f64(row.output_num_tokens)),
        ("output_num_chunks", |row| Some(row.output_num_chunks as f64)),
        ("prompt_tokens", |row| as_f64(row.prompt_tokens)),
        ("completion_tokens", |row| as_f64(row.completion_tokens)),
        ("cached_tokens", |row| as_f64(row.cached_tokens)),
        ("reasoning_tokens", |row| as_f64(row.reasoning_tokens)),
    ];
    let describe = |(id, value): (&str, Value)| {
        metric_describe(id, &rows.iter().filter_map(value).collect::<Vec<_>>())
    };
    let completed = main.iter().filter(|record| record.outcome.is_completed());
    let gaps: Vec<f64> = completed.flat_map(|record| gaps_ms(&record.answer.chunks_ns)).collect();
    metrics.into_iter().map(describe).chain([metric_describe("itl_ms", &gaps)]).flatten().collect()
}

fn as_f64(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

fn metric_describe(id: &str, values: &[f64]) -> Option<MetricDescribe> {
    let describe = Describe::of_all(values, &percents_for(values.len()));
    (!values.is_empty()).then(|| MetricDescribe { id: id.to_owned(), describe })
}
