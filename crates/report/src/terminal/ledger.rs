use turnbench_metrics::{
    CacheLedger, Finding, LedgerSums, PromptFacts, RunReport, TierTokens, TokenBasis,
};
use turnbench_model::Compat;

use super::lines::{counted, grouped, labelled, millis, percentage, table};

/// Turns shown one by one; of the later ones every power of two. The run report has all of them.
const TURNS_ALL: u32 = 8;

/// The cache ledger: by turn what an endless cache could have served and what the server did, where its
/// sources differ, and what it all means in words. Empty without a completed request, and where neither is
/// known.
///
/// Lines are broken for a terminal of `width` columns, as far as 40 to 100.
pub fn ledger_text(report: &RunReport, width: usize) -> String {
    let ledger = &report.ledger;
    let total = &ledger.total;
    let says_nothing = total.ideal_tokens.is_none() && total.reported.cached_tokens.is_none();
    let is_reference = report.plan.compat == Compat::Vllm;
    if ledger.words.is_empty() || (is_reference && says_nothing) {
        return String::new();
    }
    let mut text = turns(ledger);
    let mut line = |label: &str, what: &str| text.push_str(&labelled(width, label, what));
    line("ideal", &basis(ledger));
    for (at, told) in sources(ledger).iter().enumerate() {
        line(if at == 0 { "sources" } else { "" }, told);
    }
    line("cache", &ledger.words.join(" "));
    text
}

/// Shares of the prompts by turn.
fn turns(ledger: &CacheLedger) -> String {
    let tiers = tier_columns(&ledger.total.cached_by_tier);
    let mut heading = vec!["turn", "prompt tokens", "ideal", "own", "cached"];
    heading.extend(tiers.iter().map(|(name, _)| *name));
    heading.extend(["of ideal", "ttft p50 ms", "p90", "p99"]);
    let shown = |turn: &u32| *turn <= TURNS_ALL || turn.is_power_of_two();
    let last = ledger.turns.last().map(|turn| turn.turn);
    let of_turns = ledger.turns.iter();
    let of_turns = of_turns.filter(|turn| shown(&turn.turn) || Some(turn.turn) == last);
    let mut rows: Vec<Vec<String>> =
        of_turns.map(|turn| row(turn.turn.to_string(), &turn.sums, &tiers)).collect();
    rows.push(row("all".to_owned(), &ledger.total, &tiers));
    table(&heading, &rows)
}

type TierColumn = (&'static str, fn(&TierTokens) -> Option<u64>);

/// The tiers that answers tell of.
fn tier_columns(total: &TierTokens) -> Vec<TierColumn> {
    let all: [TierColumn; 3] = [
        ("device", |tiers| tiers.device),
        ("host", |tiers| tiers.host),
        ("storage", |tiers| tiers.storage),
    ];
    all.into_iter().filter(|(_, tokens)| tokens(total).is_some()).collect()
}

fn row(name: String, sums: &LedgerSums, tiers: &[TierColumn]) -> Vec<String> {
    let share = |part: Option<u64>, whole: Option<u64>| {
        percentage(
            part.zip(whole.filter(|whole| *whole > 0))
                .map(|(part, whole)| part as f64 / whole as f64),
        )
    };
    let mut cells = vec![
        name,
        sums.prompt_tokens().map_or_else(|| "-".to_owned(), grouped),
        share(sums.ideal_tokens, sums.rendered_tokens),
        share(sums.own_history_tokens, sums.rendered_tokens),
        percentage(sums.reported.cached_ratio),
    ];
    let of_tier =
        |(_, tokens): &TierColumn| share(tokens(&sums.cached_by_tier), sums.prompt_tokens());
    cells.extend(tiers.iter().map(of_tier));
    cells.extend([
        percentage(sums.efficiency),
        millis(sums.ttft_p50_ms),
        millis(sums.ttft_p90_ms),
        millis(sums.ttft_p99_ms),
    ]);
    cells
}

/// How the ideal was worked out.
fn basis(ledger: &CacheLedger) -> String {
    let Some(PromptFacts { basis, block_tokens, .. }) = &ledger.prompts else {
        return "not known: prompts were not made anew (--prompt-tokens, --tokenizer)".to_owned();
    };
    let how = match basis {
        TokenBasis::ChatTemplate { tokenizer, rejected_conversations } => {
            let rejected = match rejected_conversations {
                0 => String::new(),
                count => format!(", but for {} that it rejects", counted(*count, "conversation")),
            };
            format!("by the tokenizer and chat template of {tokenizer}{rejected}")
        }
        TokenBasis::Server => "by the server's /tokenize".to_owned(),
        TokenBasis::Messages { tokenizer } => {
            format!("by {tokenizer}, messages one after another without the server's chat template")
        }
        TokenBasis::BlockNames | TokenBasis::Lengths | TokenBasis::None => "not known".to_owned(),
    };
    format!(
        "an endless cache with blocks of {block_tokens} tokens; own: from the conversation's own earlier \
         turns; prompts made anew {how}"
    )
}

/// Where sources agree, in one line, and where they don't, a line each.
fn sources(ledger: &CacheLedger) -> Vec<String> {
    let tokens = |count: f64| grouped(count.max(0.0).round() as u64);
    let agree = ledger.differences.iter().filter(|one| one.finding == Finding::Agree);
    let agree = agree.map(|one| format!("{} ({})", one.id.what(), tokens(one.one_tokens)));
    let agree: Vec<String> = agree.collect();
    let mut told = Vec::new();
    if !agree.is_empty() {
        told.push(format!("in agreement: {}", agree.join("; ")));
    }
    let differ = ledger.differences.iter().filter(|one| one.finding != Finding::Agree);
    told.extend(differ.map(|one| {
        let (one_tokens, other_tokens) = (tokens(one.one_tokens), tokens(one.other_tokens));
        format!("{}: {one_tokens} and {other_tokens}; {}", one.id.what(), one.explanation)
    }));
    told
}
