use std::fmt::Write;

use turnbench_metrics::{Describe, Summary};
use turnbench_model::{ConversationStats, Plan, WorkloadSource};

use super::frame::Frame;
use super::style::ReferenceStyle;

/// Decimals of the statistics table.
const STATISTICS_DIGITS: usize = 2;
/// Decimals of the tables about a data set.
const DATA_SET_DIGITS: usize = 6;
/// Percentiles of the `num_turns` table, whatever the number of conversations.
const NUM_TURNS_PERCENTS: [f64; 7] = [25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99];
/// Percentiles of the generator's tables.
const GENERATOR_PERCENTS: [f64; 5] = [25.0, 50.0, 75.0, 90.0, 99.0];

/// The parameters that stand above the statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// `--model` as typed.
    pub model: String,
    /// `--num-clients`.
    pub num_clients: u32,
    /// Conversations of the workload.
    pub num_conversations: u32,
    /// `--max-active-conversations`; `None` when it was not given.
    pub active_conversations: Option<u32>,
    /// `--seed`.
    pub seed: u64,
    /// `--limit-min-tokens`, where positive.
    pub min_tokens: Option<i64>,
    /// `--limit-max-tokens`, where positive.
    pub max_tokens: Option<i64>,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParameterValue {
    Text(String),
    Integer(i128),
    Absent,
}

impl Parameters {
    /// The parameters of a run; `active_conversations` as typed, for the plan only has what was
    /// made of it.
    pub fn of(plan: &Plan, active_conversations: Option<u32>) -> Self {
        let limit = |limit: i64| (limit > 0).then_some(limit);
        Self {
            model: plan.workload.model.clone(),
            num_clients: plan.load.num_clients,
            num_conversations: plan.workload.conversations_count,
            active_conversations,
            seed: plan.workload.seed,
            min_tokens: limit(plan.request.limit_min_tokens),
            max_tokens: limit(plan.request.limit_max_tokens),
        }
    }

    /// Names and values in order; token limits only where there are any.
    pub(crate) fn entries(&self) -> Vec<(&'static str, ParameterValue)> {
        let integer = |value: Option<i64>| {
            value.map_or(ParameterValue::Absent, |value| ParameterValue::Integer(value.into()))
        };
        let mut entries = vec![
            ("model", ParameterValue::Text(self.model.clone())),
            ("num_clients", ParameterValue::Integer(self.num_clients.into())),
            ("num_conversations", ParameterValue::Integer(self.num_conversations.into())),
            ("active_conversations", integer(self.active_conversations.map(i64::from))),
            ("seed", ParameterValue::Integer(self.seed.into())),
        ];
        let limits = [("min_tokens", self.min_tokens), ("max_tokens", self.max_tokens)];
        for (name, limit) in limits.into_iter().filter(|(_, limit)| limit.is_some()) {
            entries.push((name, integer(limit)));
        }
        entries
    }
}

impl std::fmt::Display for ParameterValue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Absent => formatter.write_str("None"),
        }
    }
}

/// The generation parameters of a run; none when it replays a list of conversations.
pub fn generation_parameters(plan: &Plan) -> &[(String, String)] {
    match &plan.workload.source {
        WorkloadSource::Generator { parameters } => parameters,
        WorkloadSource::DataSet { .. } => &[],
    }
}

/// The block that the reference ends with: parameters, generation parameters (`(name, text)`
/// pairs, may be empty), and for each summary its heading, rates and table.
///
/// As in the reference nothing at all comes out without a summary.
pub fn statistics_text(
    parameters: &Parameters,
    generation: &[(String, String)],
    summaries: &[Summary],
    style: ReferenceStyle,
) -> String {
    if summaries.is_empty() {
        return String::new();
    }
    let mut text = parameters_text(parameters, generation, style);
    let warmup = summaries.len() > 1 || summaries.iter().any(|one| one.warmup_fraction > 0.0);
    for summary in summaries {
        push_summary(&mut text, summary, warmup, style);
    }
    text
}

/// The parameters alone, between rules.
pub fn parameters_text(
    parameters: &Parameters,
    generation: &[(String, String)],
    style: ReferenceStyle,
) -> String {
    let mut text = style.rule();
    text.push_str(&style.heading("Parameters:"));
    for (name, value) in parameters.entries() {
        let _ = writeln!(text, "{name}={value}");
    }
    if !generation.is_empty() {
        text.push_str(&style.heading("Conversations Generation Parameters:"));
        for (name, value) in generation {
            let _ = writeln!(text, "{name}={value}");
        }
    }
    text.push_str(&style.rule());
    text
}

fn push_summary(text: &mut String, summary: &Summary, warmup: bool, style: ReferenceStyle) {
    let heading = if warmup {
        // A percentage as the reference rounds it: to a whole number.
        let percent = summary.warmup_fraction * 100.0;
        format!("Statistics summary (assuming {percent:.0}% warmup samples):")
    } else {
        "Statistics summary:".to_owned()
    };
    text.push_str(&style.heading(&heading));
    for (name, value) in rates(summary) {
        let _ = writeln!(text, "{name} = {value:.3}");
    }
    let rows: Vec<(&str, &Describe)> =
        summary.table.iter().map(|metric| (metric.id.as_str(), &metric.describe)).collect();
    text.push_str(&style.rule());
    text.push_str(&Frame::of(&rows).render(STATISTICS_DIGITS));
    text.push('\n');
    text.push_str(&style.rule());
}

/// Times and rates of a summary, in order, those that there are. A run without duration has an
/// infinite rate, as the division says.
pub(crate) fn rates(summary: &Summary) -> Vec<(&'static str, f64)> {
    let rate = summary.requests_per_sec.unwrap_or(f64::INFINITY);
    let mut rates = vec![("runtime_sec", summary.runtime_sec), ("requests_per_sec", rate)];
    rates.extend(summary.warmup_runtime_sec.map(|value| ("warmup_runtime_sec", value)));
    let total = summary.total_runtime_incl_warmup_sec;
    rates.extend(total.map(|value| ("total_runtime_incl_warmup_sec", value)));
    rates
}

/// The table that precedes a run on a list of conversations: their numbers of messages.
pub fn conversations_text(messages: &[usize], style: ReferenceStyle) -> String {
    let values: Vec<f64> = messages.iter().map(|&count| count as f64).collect();
    let describe = Describe::of_all(&values, &NUM_TURNS_PERCENTS);
    sections(&[("Conversations statistics:", &[("num_turns", &describe)])], style)
}

/// What `print_stats` of a generator config prints.
pub fn generator_text(statistics: &ConversationStats, style: ReferenceStyle) -> String {
    let describe = |values: &[f64]| Describe::of_all(values, &GENERATOR_PERCENTS);
    let turns = describe(&statistics.conversation_turns);
    let user = describe(&statistics.user_tokens);
    let assistant = describe(&statistics.assistant_tokens);
    let requests = describe(&statistics.request_tokens);
    let conversations =
        [("conversation_turns", &turns), ("user_tokens", &user), ("assistant_tokens", &assistant)];
    let tables = sections(
        &[
            ("Conversations statistics:", &conversations),
            ("Request statistics:", &[("request_tokens", &requests)]),
        ],
        style,
    );
    format!("\nCollecting statistics...\n{tables}")
}

/// Headed tables about a data set, one below the other, between rules.
fn sections(sections: &[(&str, &[(&str, &Describe)])], style: ReferenceStyle) -> String {
    let rule = style.rule();
    let mut text = rule.clone();
    for (title, rows) in sections {
        let table = Frame::of(rows).render(DATA_SET_DIGITS);
        let _ = write!(text, "{}{rule}{table}\n{rule}", style.heading(title));
    }
    text
}
