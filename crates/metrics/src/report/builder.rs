use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use turnbench_model::{Phase, Plan, RequestRecord, TokenCounts};

use super::counts::CountsBuilder;
use super::throughput::Span;
use super::trust::{Surroundings, TrustBuilder};
use super::{
    CacheTotals, Headline, REPORT_SCHEMA_VERSION, RunReport, ServerReport, TtftCorrection,
    TurnSummary,
};
use crate::ledger::{CacheLedger, LedgerSources, OtherAttempts};
use crate::row::gaps;
use crate::verdict::Evidence;
use crate::{
    Describe, Environment, MetricDescribe, NanosSamples, PercentileInterval, RequestRow,
    RowOptions, RunFacts, RunReuse, SummaryOptions, Throughput, Verdict, percents_for, summarize,
};

/// Builds a report from records that come one by one, in order of arrival, and are not kept: what
/// stays is a row of numbers for each completed request, and [`NanosSamples`] of what there is one
/// of for each event.
#[derive(Debug)]
pub struct ReportBuilder<'a> {
    plan: &'a Plan,
    options: RowOptions,
    rows: Vec<RequestRow>,
    /// Place of each row's record among all records.
    row_records: Vec<u32>,
    records: u32,
    texts: SharedTexts,
    counts: CountsBuilder,
    span: Span,
    gaps: NanosSamples,
    trust: TrustBuilder,
    server: Option<ServerReport>,
    reuse: Option<RunReuse>,
    other_attempts: OtherAttempts,
}

impl<'a> ReportBuilder<'a> {
    /// A report on a run of this plan, without any record yet.
    pub fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            options: RowOptions::of(plan),
            rows: Vec::new(),
            row_records: Vec::new(),
            records: 0,
            texts: SharedTexts::default(),
            counts: CountsBuilder::default(),
            span: Span::default(),
            gaps: NanosSamples::default(),
            trust: TrustBuilder::default(),
            server: None,
            reuse: None,
            other_attempts: OtherAttempts::default(),
        }
    }

    /// Adds an attempt, and its local token counts; the default ones mean "no tokenizer".
    pub fn add(&mut self, record: &RequestRecord, tokens: &TokenCounts) {
        self.counts.add(record);
        let place = self.records;
        self.records += 1;
        if record.phase != Phase::Main {
            return;
        }
        self.span.add(record);
        self.trust.add(record);
        if record.outcome.is_completed() {
            self.gaps.extend(gaps(&record.answer.chunks_ns));
        } else {
            self.other_attempts.add(record);
        }
        if let Some(mut row) = RequestRow::from_record(record, tokens, self.options) {
            self.texts.share(&mut row, record.conversation);
            self.rows.push(row);
            self.row_records.push(place);
        }
    }

    /// Takes what the server said of itself; without it the report says that it was not asked.
    pub fn observed(&mut self, server: ServerReport) {
        self.server = Some(server);
    }

    /// Takes what of each prompt was there to be reused, once all records are added; without it there is
    /// no ideal.
    pub fn reusable(&mut self, reuse: RunReuse) {
        for (row, &record) in self.rows.iter_mut().zip(&self.row_records) {
            if let Some(Some(tokens)) = reuse.requests.get(record as usize) {
                row.reusable(tokens);
            }
        }
        self.reuse = Some(reuse);
    }

    /// The rows of the completed requests of the run proper (no warm-up step), in order of arrival.
    pub fn rows(&self) -> &[RequestRow] {
        &self.rows
    }

    /// The report on the records so far. Pure: the same records give the same report.
    pub fn report(&mut self, environment: &Environment, facts: &RunFacts) -> RunReport {
        let metrics = self.metrics();
        let rows = &self.rows;
        let counts = self.counts.finish(facts);
        let throughput = Throughput::of(self.span, rows);
        let around =
            Surroundings { plan: self.plan, facts, environment, span_sec: throughput.span_sec };
        let client = self.trust.finish(around, rows);
        let median = |id: &str| {
            let metric = metrics.iter().find(|metric| metric.id == id)?;
            metric.describe.percentile(50.0)
        };
        let streamed = self.plan.request.stream;
        let unshared = self.trust.unshared_ttft_p50_ms().filter(|_| streamed);
        let response_p50_ms =
            unshared.or_else(|| median(if streamed { "ttft_raw_ms" } else { "latency_ms" }));
        let verdict = Verdict::of(&Evidence {
            plan: self.plan,
            counts: &counts,
            client: &client,
            environment,
            shards: &facts.shards,
            response_p50_ms,
            response_is_of_unshared: unshared.is_some() && client.shared_first_tokens > 0,
            itl_p50_ms: median("itl_ms"),
        });
        let ledger = CacheLedger::of(&LedgerSources {
            rows,
            reuse: self.reuse.as_ref(),
            server: self.server.as_ref(),
            counts: &counts,
            other_attempts: &self.other_attempts,
            kv_bytes_per_token: self.plan.ledger.kv_bytes_per_token,
        });
        RunReport {
            schema_version: REPORT_SCHEMA_VERSION,
            plan: self.plan.clone(),
            environment: environment.clone(),
            counts,
            throughput,
            summaries: summarize(rows, &summary_options(self.plan, facts)),
            ttft_correction: TtftCorrection::of(rows),
            headlines: headlines(rows),
            metrics,
            turns: TurnSummary::of_all(rows),
            later_turns: TurnSummary::of_later(rows),
            cache: CacheTotals::of(rows),
            server: self.server.clone(),
            ledger,
            client,
            verdict,
        }
    }

    /// Every metric of the run: one sample for each completed request, and for `itl_ms` and
    /// `client_delay_ms` one for each gap between events and for each event. A metric without any
    /// sample is left out.
    fn metrics(&mut self) -> Vec<MetricDescribe> {
        let of_rows = ROW_METRICS.iter().map(|(id, value)| {
            let values: Vec<f64> = self.rows.iter().filter_map(value).collect();
            described(id, Describe::of_all(&values, &percents_for(values.len())))
        });
        let mut metrics: Vec<Option<MetricDescribe>> = of_rows.collect();
        for (id, samples) in
            [("itl_ms", &mut self.gaps), ("client_delay_ms", self.trust.event_delays())]
        {
            let percents = percents_for(samples.count() as usize);
            metrics.push(described(id, samples.describe_ms(&percents)));
        }
        metrics.into_iter().flatten().collect()
    }
}

type RowValue = fn(&RequestRow) -> Option<f64>;

/// Metrics with one sample for each completed request.
const ROW_METRICS: [(&str, RowValue); 24] = [
    ("ttft_ms", |row| row.ttft_ms),
    ("ttft_raw_ms", |row| row.ttft_raw_ms),
    ("ttft_intended_ms", |row| row.ttft_intended_ms),
    ("first_event_ms", |row| row.first_event_ms),
    ("tpot_ms", |row| row.tpot_ms),
    ("last_token_ms", |row| row.last_token_ms),
    ("latency_ms", |row| Some(row.latency_ms)),
    ("connect_ms", |row| row.connect_ms),
    ("send_lateness_ms", |row| Some(row.send_lateness_ms)),
    ("first_token_delay_ms", |row| row.first_token_delay_ms),
    ("client_delay_max_ms", |row| row.client_delay_max_ms),
    ("server_ttft_ms", |row| row.server_ttft_ms),
    ("server_gap_ms", |row| row.server_gap_ms),
    ("input_num_turns", |row| Some(f64::from(row.input_num_turns))),
    ("input_num_tokens", |row| as_f64(row.input_num_tokens)),
    ("output_num_tokens", |row| as_f64(row.output_num_tokens)),
    ("output_num_chunks", |row| Some(row.output_num_chunks as f64)),
    ("prompt_tokens", |row| as_f64(row.prompt_tokens)),
    ("completion_tokens", |row| as_f64(row.completion_tokens)),
    ("cached_tokens", |row| as_f64(row.cached_tokens)),
    ("reasoning_tokens", |row| as_f64(row.reasoning_tokens)),
    ("ideal_tokens", |row| row.ideal_tokens.map(f64::from)),
    ("own_history_tokens", |row| row.own_history_tokens.map(f64::from)),
    ("needed_cache_tokens", |row| row.needed_cache_tokens.map(f64::from)),
];

fn as_f64(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

fn described(id: &str, describe: Describe) -> Option<MetricDescribe> {
    (describe.count > 0).then(|| MetricDescribe { id: id.to_owned(), describe })
}

fn summary_options(plan: &Plan, facts: &RunFacts) -> SummaryOptions {
    SummaryOptions {
        warmup_fractions: if plan.warmup_fractions.is_empty() {
            vec![0.0]
        } else {
            plan.warmup_fractions.clone()
        },
        warmup_runtime_sec: facts.warmup_runtime_ns.map(turnbench_model::Nanos::as_secs_f64),
        between_turns: facts.between_turns,
    }
}

fn headlines(rows: &[RequestRow]) -> Vec<Headline> {
    let metrics: [(&str, RowValue); 3] = [
        ("ttft_raw_ms", |row| row.ttft_raw_ms),
        ("tpot_ms", |row| row.tpot_ms),
        ("latency_ms", |row| Some(row.latency_ms)),
    ];
    let headline = |(id, value): (&str, RowValue)| {
        let mut sorted: Vec<f64> = rows.iter().filter_map(value).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Headline {
            id: id.to_owned(),
            percentiles: [50.0, 90.0, 99.0].map(|p| PercentileInterval::of(&sorted, p)).into(),
        }
    };
    metrics.into_iter().map(headline).collect()
}

/// The texts of rows, each held once: records that were read back have copies of their own.
#[derive(Debug, Default)]
struct SharedTexts {
    /// By the conversation's index.
    conversation_ids: BTreeMap<u32, Arc<str>>,
    finish_reasons: BTreeSet<Arc<str>>,
}

impl SharedTexts {
    fn share(&mut self, row: &mut RequestRow, conversation: u32) {
        let known = self.conversation_ids.entry(conversation);
        let known = known.or_insert_with(|| Arc::clone(&row.conversation_id));
        // Not so when the records of several runs were put together.
        if *known == row.conversation_id {
            row.conversation_id = Arc::clone(known);
        }
        if let Some(reason) = &mut row.finish_reason {
            match self.finish_reasons.get(reason) {
                Some(known) => *reason = Arc::clone(known),
                None => drop(self.finish_reasons.insert(Arc::clone(reason))),
            }
        }
    }
}
