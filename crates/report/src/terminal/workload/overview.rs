use turnbench_metrics::{Describe, Distribution, TokenBasis, WorkloadReport};

use super::super::lines::{WIDTH, counted, grouped, labelled, table};

/// What the file is and where the numbers are from.
pub(super) fn heading(report: &WorkloadReport) -> String {
    let mut text = labelled(WIDTH, "file", &format!("{} ({})", report.file, report.format));
    let mut counts =
        vec![counted(report.conversations, "conversation"), counted(report.requests, "request")];
    if report.messages > 0 {
        counts.push(counted(report.messages, "message"));
    }
    text.push_str(&labelled(WIDTH, "holds", &counts.join(", ")));
    if report.sub_conversations > 0 {
        let started = counted(report.sub_conversations, "conversation");
        text.push_str(&labelled(WIDTH, "", &format!("{started} started by another one")));
    }
    text.push_str(&labelled(WIDTH, "tokens", &basis(report)));
    if report.messages_with_media > 0 {
        let media = counted(report.messages_with_media, "message");
        let note = format!("{media} with images or other parts that are no text: not counted");
        text.push_str(&labelled(WIDTH, "", &note));
    }
    if !report.models.is_empty() {
        text.push_str(&labelled(WIDTH, "models", &models(report)));
    }
    text
}

fn basis(report: &WorkloadReport) -> String {
    match &report.token_basis {
        TokenBasis::Messages { tokenizer } => {
            format!(
                "by {tokenizer}; prompts: tools and messages one after another, no chat template"
            )
        }
        TokenBasis::ChatTemplate { tokenizer, rejected_conversations: 0 } => {
            format!("by {tokenizer}; prompts: its chat template (a tool list stands before it)")
        }
        TokenBasis::ChatTemplate { tokenizer, rejected_conversations } => {
            let rejected = counted(*rejected_conversations, "conversation");
            format!(
                "by {tokenizer}; prompts: its chat template, but {rejected} that it rejects: \
                 concatenated messages"
            )
        }
        TokenBasis::Server => "by the server's /tokenize".to_owned(),
        TokenBasis::BlockNames => {
            "as recorded; sharing from the trace's block names (there is no text)".to_owned()
        }
        TokenBasis::Lengths => {
            "as recorded; what prompts share is not known: there is no text and there are no \
             block names"
                .to_owned()
        }
        TokenBasis::None => {
            "not counted: there is neither a tokenizer nor a recorded length".into()
        }
    }
}

/// Most models that are named.
const MODELS_SHOWN: usize = 6;

fn models(report: &WorkloadReport) -> String {
    let shown = report.models.iter().take(MODELS_SHOWN);
    let mut names: Vec<String> =
        shown.map(|model| format!("{} ({})", model.name, grouped(model.count))).collect();
    let more = report.models.len().saturating_sub(MODELS_SHOWN);
    if more > 0 {
        names.push(format!("{} more", grouped(more as u64)));
    }
    names.join(", ")
}

/// Percentiles that the tables show, from as many samples as elsewhere.
const PERCENTS: [f64; 3] = [50.0, 90.0, 99.0];

/// The headings of [`described`]'s cells.
pub(super) const DESCRIBED: [&str; 6] = ["mean", "min", "p50", "p90", "p99", "max"];

/// Mean, smallest, percentiles and largest of a sample.
pub(super) fn described(describe: &Describe, number: fn(f64) -> String) -> Vec<String> {
    let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    let percentiles = PERCENTS.map(|percent| describe.percentile(percent));
    let head = [describe.mean, describe.min];
    head.into_iter().chain(percentiles).chain([describe.max]).map(cell).collect()
}

/// A count or the mean of some, without false precision.
pub(super) fn count(value: f64) -> String {
    if value < 100.0 && value.fract() != 0.0 {
        format!("{value:.1}")
    } else {
        grouped(value.round() as u64)
    }
}

/// The table of sizes: turns, messages and tokens.
pub(super) fn sizes(report: &WorkloadReport) -> String {
    let rows: [(&str, &Distribution); 6] = [
        ("turns per conversation", &report.turns_per_conversation),
        ("messages per conversation", &report.messages_per_conversation),
        ("tokens per message", &report.message_tokens),
        ("tokens per prompt", &report.prompt_tokens),
        ("new tokens per turn", &report.new_tokens),
        ("tokens per answer", &report.answer_tokens),
    ];
    let known = rows.into_iter().filter(|(_, one)| one.describe.count > 0);
    let rows: Vec<Vec<String>> = known
        .map(|(name, one)| {
            let mut row = vec![name.to_owned()];
            row.extend(described(&one.describe, count));
            row.push(count(one.total));
            row
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(&heading_of("", "total"), &rows) }
}

/// The headings of a table of descriptions, with the first and the last column's own.
fn heading_of<'a>(first: &'a str, last: &'a str) -> Vec<&'a str> {
    std::iter::once(first).chain(DESCRIBED).chain([last]).collect()
}

/// The table of messages by role.
pub(super) fn roles(report: &WorkloadReport) -> String {
    if report.roles.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = report
        .roles
        .iter()
        .map(|role| {
            let mut row = vec![role.role.clone()];
            row.extend(described(&role.tokens, count));
            row.push(grouped(role.messages));
            row
        })
        .collect();
    table(&heading_of("tokens of messages by role", "messages"), &rows)
}
