use turnbench_metrics::{BlockReuse, Describe, RequestOrder, TokenBasis, WorkloadReport};

use super::super::lines::{WIDTH, grouped, percentage, table, wrapped};
use super::overview::count;

/// The table of prompts by turn; empty where each conversation has one only.
pub(super) fn growth(report: &WorkloadReport) -> String {
    // Of first turns alone the other tables tell everything.
    if report.prompt_tokens.describe.count == 0 || report.growth.len() < 2 {
        return String::new();
    }
    let with_reuse = !report.reuse.is_empty();
    let mut heading = vec!["turn", "requests", "prompt p50", "p90", "new p50", "answer p50"];
    if with_reuse {
        heading.extend(["own history", "any request"]);
    }
    let median = |describe: &Describe, percent| {
        describe.percentile(percent).map_or_else(|| "-".to_owned(), count)
    };
    let rows: Vec<Vec<String>> = report
        .growth
        .iter()
        .map(|turn| {
            let name = if turn.turn == turn.turn_last {
                turn.turn.to_string()
            } else {
                format!("{}-{}", turn.turn, turn.turn_last)
            };
            let mut row = vec![
                name,
                grouped(turn.requests),
                median(&turn.prompt_tokens, 50.0),
                median(&turn.prompt_tokens, 90.0),
                median(&turn.new_tokens, 50.0),
                median(&turn.answer_tokens, 50.0),
            ];
            if with_reuse {
                let ratios = [turn.own_history_ratio, turn.any_request_ratio];
                row.extend(ratios.map(percentage));
            }
            row
        })
        .collect();
    table(&heading, &rows)
}

/// What an endless prefix cache could reuse, by block size.
pub(super) fn reuse(report: &WorkloadReport) -> String {
    let Some(first) = report.reuse.first() else { return String::new() };
    let rows: Vec<Vec<String>> = report
        .reuse
        .iter()
        .map(|reuse| {
            vec![
                reuse.block_size.to_string(),
                grouped(reuse.prompt_tokens),
                format!("{} ({})", grouped(reuse.distinct_tokens), share(reuse)),
                percentage(reuse.own_history_ratio),
                percentage(reuse.any_request_ratio),
            ]
        })
        .collect();
    let heading = ["tokens of a block", "prompt tokens", "distinct", "own history", "any request"];
    let mut text = table(&heading, &rows);
    let order = match report.order {
        RequestOrder::File => "requests in file order, one conversation after the other",
        RequestOrder::SentTime => "requests by their recorded times",
    };
    let answers = if first.answers_cached {
        "recorded answers stay cached too"
    } else {
        "without the answers, whose blocks the trace does not name"
    };
    text.push_str(&wrapped(
        WIDTH,
        "",
        &format!(
            "own history, any request: share of prompt tokens that an endless prefix cache could \
             reuse from earlier requests of the same conversation, or of all; {order}, each done \
             before the next; {answers}; as in vLLM whole blocks only, and a prompt's last token \
             is always computed"
        ),
        2,
    ));
    if first.requests < report.requests && report.token_basis == TokenBasis::BlockNames {
        let (known, all) = (grouped(first.requests), grouped(report.requests));
        text.push_str(&wrapped(
            WIDTH,
            "",
            &format!("{known} of {all} requests have block names"),
            2,
        ));
    }
    text
}

/// How much of the prompts is distinct.
fn share(reuse: &BlockReuse) -> String {
    let share = reuse.distinct_tokens as f64 / reuse.prompt_tokens as f64;
    percentage((reuse.prompt_tokens > 0).then_some(share))
}
