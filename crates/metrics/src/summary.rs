use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Describe, RequestRow, percents_for};

/// What a summary is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryOptions {
    /// Fractions (0..1) of the earliest requests to leave out, one summary each.
    pub warmup_fractions: Vec<f64>,
    /// Wall time of a separate warm-up step, in seconds.
    pub warmup_runtime_sec: Option<f64>,
    /// Whether the time between successive turns is a row of the table.
    pub between_turns: bool,
}

/// The reference-compatible statistics of a run, for one warm-up fraction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Fraction (0..1) of the earliest-started requests that was left out.
    pub warmup_fraction: f64,
    /// Requests that remain.
    pub requests: u64,
    /// From the first start to the end of the last-**started** request.
    pub runtime_sec: f64,
    /// `requests / runtime_sec`; `None` when that time is 0.
    pub requests_per_sec: Option<f64>,
    /// Wall time of a separate warm-up step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_runtime_sec: Option<f64>,
    /// `runtime_sec + warmup_runtime_sec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_runtime_incl_warmup_sec: Option<f64>,
    /// The table, one row for each metric.
    pub table: Vec<MetricDescribe>,
}

/// The description of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricDescribe {
    /// Id of the metric in the table of definitions.
    pub id: String,
    /// Its description.
    pub describe: Describe,
}

/// A row and what only its neighbours tell.
#[derive(Clone, Debug)]
pub struct OrderedRow<'a> {
    /// The row.
    pub row: &'a RequestRow,
    /// Start to start since the conversation's previous request; `None` for its first.
    pub time_between_user_turns_sec: Option<f64>,
}

/// Rows by start time (rows that start together keep their order), with the time since the
/// previous request of the same conversation.
pub fn order_rows(rows: &[RequestRow]) -> Vec<OrderedRow<'_>> {
    let mut sorted: Vec<&RequestRow> = rows.iter().collect();
    sorted.sort_by(|a, b| a.start_time_ms.total_cmp(&b.start_time_ms));
    let mut previous: BTreeMap<&str, f64> = BTreeMap::new();
    sorted
        .into_iter()
        .map(|row| {
            let before = previous.insert(&row.conversation_id, row.start_time_ms);
            let time_between_user_turns_sec =
                before.map(|before| (row.start_time_ms - before) / 1000.0);
            OrderedRow { row, time_between_user_turns_sec }
        })
        .collect()
}

/// Summarises completed requests once for each warm-up fraction. Empty without rows.
pub fn summarize(rows: &[RequestRow], options: &SummaryOptions) -> Vec<Summary> {
    let ordered = order_rows(rows);
    if ordered.is_empty() {
        return Vec::new();
    }
    // As in the reference, the percentiles shown depend on the count before any are left out.
    let percents = percents_for(ordered.len());
    let summary = |&fraction: &f64| {
        let skip = ((fraction * ordered.len() as f64) as usize).min(ordered.len() - 1);
        Summary::of(&ordered[skip..], fraction, &percents, options)
    };
    options.warmup_fractions.iter().map(summary).collect()
}

impl Summary {
    fn of(
        rows: &[OrderedRow<'_>],
        warmup_fraction: f64,
        percents: &[f64],
        options: &SummaryOptions,
    ) -> Self {
        let runtime_sec = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) => {
                (last.row.end_time_ms() - first.row.start_time_ms) / 1000.0
            }
            _ => 0.0,
        };
        let warmup_runtime_sec = options.warmup_runtime_sec;
        Self {
            warmup_fraction,
            requests: rows.len() as u64,
            runtime_sec,
            requests_per_sec: (runtime_sec > 0.0).then(|| rows.len() as f64 / runtime_sec),
            warmup_runtime_sec,
            total_runtime_incl_warmup_sec: warmup_runtime_sec.map(|warmup| runtime_sec + warmup),
            table: table(rows, percents, options.between_turns),
        }
    }
}

fn table(rows: &[OrderedRow<'_>], percents: &[f64], between_turns: bool) -> Vec<MetricDescribe> {
    type Value = fn(&OrderedRow<'_>) -> Option<f64>;
    let mut metrics: Vec<(&str, Value)> = vec![
        ("ttft_ms", |it| it.row.ttft_ms),
        ("tpot_ms", |it| it.row.tpot_ms),
        ("latency_ms", |it| Some(it.row.latency_ms)),
        ("input_num_turns", |it| Some(f64::from(it.row.input_num_turns))),
        ("input_num_tokens", |it| it.row.input_num_tokens.map(|count| count as f64)),
        ("output_num_tokens", |it| it.row.output_num_tokens.map(|count| count as f64)),
        ("output_num_chunks", |it| Some(it.row.output_num_chunks as f64)),
    ];
    if between_turns {
        metrics.push(("time_between_user_turns_sec", |it| it.time_between_user_turns_sec));
    }
    let describe = |(id, value): (&str, Value)| MetricDescribe {
        id: id.to_owned(),
        describe: Describe::of(&rows.iter().map(value).collect::<Vec<_>>(), percents),
    };
    metrics.into_iter().map(describe).collect()
}
