mod plot;

use turnbench_metrics::{CacheReport, CacheSize, RequestOrder, TokenBasis};

use super::lines::{counted, grouped, labelled, percentage, table, wrapped};
use super::sizes::gib;
use plot::plot;

/// What `turnbench cache analyze` prints, for a terminal of `width` columns.
pub fn cache_text(report: &CacheReport, width: usize) -> String {
    let blocks = [
        heading(report, width),
        totals(report, width),
        plot(report, width),
        needed(report),
        caches(report),
        tiers(report),
        turns(report),
        wrapped(width, "", &summary(report), 0),
    ];
    blocks.into_iter().filter(|block| !block.is_empty()).collect::<Vec<_>>().join("\n")
}

fn heading(report: &CacheReport, width: usize) -> String {
    let mut text = labelled(
        width,
        "workload",
        &format!(
            "{} ({}), {}, {}",
            report.file,
            report.format,
            counted(report.conversations, "conversation"),
            counted(report.requests, "request")
        ),
    );
    text.push_str(&labelled(width, "order", &order(report)));
    text.push_str(&labelled(width, "prompts", &basis(report)));
    if report.unknown_requests > 0 {
        let unknown = counted(report.unknown_requests, "request");
        text.push_str(&labelled(
            width,
            "left out",
            &format!("{unknown}: nothing is known of what their prompts share with others"),
        ));
    }
    let bytes = match report.kv_bytes_per_token {
        Some(bytes) => format!("{} bytes for a token", grouped(bytes.round() as u64)),
        None => "bytes for a token are not known; --kv-bytes-per-token or --model-config tells \
                 them, and sizes are then in GiB"
            .to_owned(),
    };
    text.push_str(&labelled(width, "KV cache", &bytes));
    if let Some(sampling) = report.sampling {
        let what = format!(
            "{} of the blocks stand for all: ± {} of the prompt tokens, with 95 % confidence, for LRU \
             caches of any size (--exact counts all)",
            percentage(Some(sampling.rate)),
            percentage(Some(sampling.error_ratio))
        );
        text.push_str(&labelled(width, "sampled", &what));
    }
    text
}

fn order(report: &CacheReport) -> String {
    match (report.order, report.active_conversations) {
        (RequestOrder::SentTime, _) => "by the recorded times; a block exists once its prompt is \
                                        done, and an answer's once it has ended"
            .to_owned(),
        (RequestOrder::File, Some(1) | None) => {
            "one conversation after the other; --active-conversations lets several take turns"
                .to_owned()
        }
        (RequestOrder::File, Some(active)) => format!(
            "{} conversations take turns; where one ends the next in the file begins",
            grouped(active)
        ),
    }
}

fn basis(report: &CacheReport) -> String {
    let blocks = format!("blocks of {} tokens", report.block_tokens);
    match &report.token_basis {
        TokenBasis::ChatTemplate { tokenizer, rejected_conversations: 0 } => {
            format!("rendered by the chat template of {tokenizer}, in {blocks}")
        }
        TokenBasis::ChatTemplate { tokenizer, rejected_conversations } => format!(
            "rendered by the chat template of {tokenizer} ({} that it rejects: messages one after \
             another), in {blocks}",
            counted(*rejected_conversations, "conversation")
        ),
        TokenBasis::Messages { tokenizer } => format!(
            "messages one after another without a chat template, tokens of {tokenizer}, in {blocks}"
        ),
        TokenBasis::Server => format!("tokens as the server's /tokenize gives them, in {blocks}"),
        TokenBasis::BlockNames | TokenBasis::Lengths | TokenBasis::None => {
            format!("as the trace names their {blocks}")
        }
    }
}

fn totals(report: &CacheReport, width: usize) -> String {
    let of_prompts = |tokens: u64| {
        let share = ratio(tokens, report.prompt_tokens);
        format!("{} ({})", grouped(tokens), percentage(share))
    };
    let mut text = labelled(width, "prompt tokens", &grouped(report.prompt_tokens));
    let distinct = format!("{} in whole blocks, answers included", grouped(report.distinct_tokens));
    text.push_str(&labelled(width, "distinct", &distinct));
    text.push_str(&labelled(
        width,
        "reusable",
        &format!(
            "{} by an endless cache: own history {}, only other conversations' {}",
            of_prompts(report.ideal_tokens),
            of_prompts(report.own_history_tokens),
            of_prompts(report.cross_conversation_tokens)
        ),
    ));
    text
}

fn needed(report: &CacheReport) -> String {
    let rows: Vec<Vec<String>> = report
        .needed
        .iter()
        .map(|needed| {
            let tokens = (report.ideal_tokens as f64 * needed.share).round() as u64;
            let mut row = vec![
                format!("{:.0} %", needed.share * 100.0),
                percentage(ratio(tokens, report.prompt_tokens)),
            ];
            row.extend(size_cells(needed.size));
            row
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut heading = vec!["of the reusable", "of prompts"];
    heading.extend(SIZE_HEADING);
    table(&heading, &rows)
}

fn caches(report: &CacheReport) -> String {
    if report.caches.is_empty() {
        return String::new();
    }
    let share = |tokens| percentage(ratio(tokens, report.ideal_tokens));
    let rows: Vec<Vec<String>> = report
        .caches
        .iter()
        .map(|cache| {
            let mut row = vec![size_text(cache.size)];
            row.extend(size_cells(cache.size).into_iter().take(2));
            row.extend([cache.lru_tokens, cache.fifo_tokens, cache.s3_fifo_tokens].map(share));
            row.push(percentage(ratio(cache.lru_tokens, report.prompt_tokens)));
            row
        })
        .collect();
    let heading = ["cache", "blocks", "tokens", "LRU", "FIFO", "S3-FIFO", "LRU, of prompts"];
    table(&heading, &rows)
}

fn tiers(report: &CacheReport) -> String {
    if report.tiers.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = report
        .tiers
        .iter()
        .enumerate()
        .map(|(place, tier)| {
            vec![
                format!("{} {}", place + 1, size_text(tier.size)),
                grouped(tier.size.blocks),
                percentage(ratio(tier.tokens, report.ideal_tokens)),
                percentage(ratio(tier.tokens, report.prompt_tokens)),
            ]
        })
        .collect();
    table(&["tier", "blocks", "serves of the reusable", "of prompts"], &rows)
}

fn turns(report: &CacheReport) -> String {
    if report.turns.len() < 2 {
        return String::new();
    }
    let size = |size: Option<CacheSize>| size.map_or_else(|| "-".to_owned(), size_text);
    let rows: Vec<Vec<String>> = report
        .turns
        .iter()
        .map(|turn| {
            vec![
                turn.turn.to_string(),
                grouped(turn.requests),
                grouped(turn.prompt_tokens / turn.requests.max(1)),
                percentage(ratio(turn.ideal_tokens, turn.prompt_tokens)),
                percentage(ratio(turn.own_history_tokens, turn.prompt_tokens)),
                size(turn.needed_p50),
                size(turn.needed_max),
            ]
        })
        .collect();
    let heading = ["turn", "requests", "prompt mean", "reusable", "own", "needs p50", "needs max"];
    table(&heading, &rows)
}

/// The answer in words.
fn summary(report: &CacheReport) -> String {
    if report.requests == 0 {
        return "no request's blocks are known, so nothing can be said about reuse".to_owned();
    }
    let Some(for_90) = report.needed.iter().find(|one| one.share >= 0.9) else {
        return "no prompt shares a whole block with an earlier one: a cache of any size serves \
                nothing of this workload"
            .to_owned();
    };
    let all = report.needed.last().map_or_else(|| "-".to_owned(), |all| size_text(all.size));
    let caches = report.caches.iter().map(|cache| {
        let share = percentage(ratio(cache.lru_tokens, report.ideal_tokens));
        format!("; {} gives {share} of it", size_text(cache.size))
    });
    format!(
        "90 % of the reuse that this workload allows needs a cache of {}, all of it {all}{}",
        size_text(for_90.size),
        caches.collect::<String>()
    )
}

const SIZE_HEADING: [&str; 3] = ["blocks", "tokens", "GiB"];

fn size_cells(size: CacheSize) -> [String; 3] {
    let bytes = size.bytes.map_or_else(|| "-".to_owned(), gib);
    [grouped(size.blocks), grouped(size.tokens), bytes]
}

/// A size in the unit that is known: GiB, or tokens.
fn size_text(size: CacheSize) -> String {
    match size.bytes {
        Some(bytes) => format!("{} GiB", gib(bytes)),
        None => counted(size.tokens, "token"),
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
