use turnbench_metrics::{
    CacheLedger, Estimate, Finding, LedgerSums, PromptFacts, RunReport, SpeedBreakEven,
    SpeedFigure, SpeedReason, Speeds, TierTokens, TokenBasis,
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
    let mut text = turns(ledger, width);
    let mut line = |label: &str, what: &str| text.push_str(&labelled(width, label, what));
    line("ideal", &basis(ledger));
    for (at, told) in sources(ledger).iter().enumerate() {
        line(if at == 0 { "sources" } else { "" }, told);
    }
    if let Some(speeds) = &ledger.speeds {
        for (at, told) in speeds_text(speeds).iter().enumerate() {
            line(if at == 0 { "speeds" } else { "" }, told);
        }
    }
    line("cache", &ledger.words.join(" "));
    text
}

/// Shares of the prompts by turn; where they do not fit, without the columns that say least.
fn turns(ledger: &CacheLedger, width: usize) -> String {
    let fits = |text: &String| text.lines().all(|line| line.chars().count() <= width);
    let whole = turns_without(ledger, &[]);
    let narrower = [&["p90"][..], &["p90", "own"], &["p90", "own", "of ideal"]];
    let narrower = narrower.into_iter().map(|dropped| turns_without(ledger, dropped));
    std::iter::once(whole.clone()).chain(narrower).find(fits).unwrap_or(whole)
}

fn turns_without(ledger: &CacheLedger, dropped: &[&str]) -> String {
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
    let kept: Vec<bool> = heading.iter().map(|name| !dropped.contains(name)).collect();
    let keep = |cells: Vec<String>| {
        cells.into_iter().zip(&kept).filter_map(|(cell, kept)| kept.then_some(cell)).collect()
    };
    let rows: Vec<Vec<String>> = rows.into_iter().map(keep).collect();
    heading.retain(|name| !dropped.contains(name));
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

/// What is known of speeds, and why the others are not.
fn speeds_text(speeds: &Speeds) -> Vec<String> {
    let per_sec = |figure: &SpeedFigure| match figure {
        SpeedFigure::Told(Estimate { value, low, high }) => {
            let [value, low, high] = [value, low, high].map(|speed| grouped(speed.round() as u64));
            Ok(format!("{value} tokens/s [{low}, {high}]"))
        }
        SpeedFigure::CannotBeTold(reason) => Err(reason.to_string()),
    };
    let mut told = vec![match per_sec(&speeds.recompute_tokens_per_sec) {
        Ok(speed) => format!("computes {speed}"),
        Err(why) => format!("how fast it computes cannot be told, because {why}"),
    }];
    for tier in &speeds.tiers {
        told.push(match per_sec(&tier.reload_tokens_per_sec) {
            Ok(speed) => {
                let bytes = tier.reload_gib_per_sec.map(|it| format!(", {:.2} GiB/s", it.value));
                let break_even = tier.break_even.as_ref().map(break_even).unwrap_or_default();
                format!("{}: {speed}{}{break_even}", tier.tier, bytes.unwrap_or_default())
            }
            Err(why) => format!("{}: cannot be told, because {why}", tier.tier),
        });
    }
    // One reason for everything is said once.
    let whys: Vec<&str> =
        told.iter().filter_map(|line| line.split_once("because ")).map(|it| it.1).collect();
    if whys.len() == told.len() && told.len() > 1 && whys.windows(2).all(|pair| pair[0] == pair[1])
    {
        return vec![format!("cannot be told, because {}{}", whys[0], hint(speeds))];
    }
    told
}

fn hint(speeds: &Speeds) -> &'static str {
    match speeds.recompute_tokens_per_sec.reason() {
        Some(SpeedReason::Queueing { .. }) => {
            " (a run with -p 1 tells, or `turnbench cache tiers`)"
        }
        _ => "",
    }
}

fn break_even(break_even: &SpeedBreakEven) -> String {
    let tokens = |count: f64| grouped(count.ceil().max(0.0) as u64);
    match break_even {
        SpeedBreakEven::FirstBlock { .. } => {
            "; faster than computing from the first block on".to_owned()
        }
        SpeedBreakEven::Tokens(Estimate { value, low, high }) => format!(
            "; faster than computing from {} tokens on [{}, {}]",
            tokens(*value),
            tokens(*low),
            tokens(*high)
        ),
        SpeedBreakEven::Never => "; slower than computing".to_owned(),
        SpeedBreakEven::CannotBeTold(reason) => {
            format!("; from which length on it beats computing cannot be told, because {reason}")
        }
    }
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
