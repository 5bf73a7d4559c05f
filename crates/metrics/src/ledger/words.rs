use std::fmt::Write;

use super::{CacheLedger, DifferenceId, TokenCauses};
use crate::{NeededCapacity, ServerReport, SpeedBreakEven, SpeedFigure, TierSpeed, grouped};

/// Parts of the prompts below this one are not worth a sentence.
const WORTH_TELLING: f64 = 0.005;
/// Part of the ideal from which a cache did what could be done.
const DID_ITS_PART: f64 = 0.99;
/// Part of the ideal for which a cache is proposed.
const PROPOSED_SHARE: f64 = 0.9;

/// What the cache did, what it could have done, what kept it from that, and what to try; sentence by
/// sentence. Empty without a completed request.
pub(super) fn all(ledger: &CacheLedger, server: Option<&ServerReport>) -> Vec<String> {
    if ledger.total.reported.requests == 0 {
        return Vec::new();
    }
    let mut words = vec![what_it_did(ledger, server)];
    words.extend(what_it_could(ledger));
    if ledger.differences.iter().any(|one| one.id == DifferenceId::MoreThanPrompt) {
        words.push(
            "The server's numbers cannot be true: some answers tell of more cached tokens than their \
             prompts have. Nothing follows from them."
                .to_owned(),
        );
        return words;
    }
    if let Some(causes) = &ledger.causes {
        words.extend(what_limits(ledger, causes));
    }
    let slow = slow_tiers(ledger);
    words.extend(slow.iter().map(|tier| slower(ledger, tier)));
    if !slow.is_empty() {
        words.push(faster_tiers(&slow));
    } else if let Some(causes) = &ledger.causes {
        words.extend(what_to_try(ledger, causes));
    }
    words
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "none".to_owned() } else { percent(part as f64 / whole as f64) }
}

fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

fn what_it_did(ledger: &CacheLedger, server: Option<&ServerReport>) -> String {
    let reported = &ledger.total.reported;
    if let (Some(cached), Some(prompt)) = (reported.cached_tokens, reported.prompt_tokens)
        && reported.reporting_requests > 0
    {
        let ratio = reported.cached_ratio.unwrap_or(0.0);
        let partly = if reported.reporting_requests < reported.requests {
            format!(
                " (over the {} of {} requests for which it says so)",
                grouped(reported.reporting_requests),
                grouped(reported.requests)
            )
        } else {
            String::new()
        };
        return format!(
            "The server took {} of {} prompt tokens from its cache, {}{partly}{}.",
            grouped(cached),
            grouped(prompt),
            percent(ratio),
            by_tier(ledger, server)
        );
    }
    match server.and_then(|server| Some((server.cached_tokens?, server.prompt_tokens?))) {
        Some((cached, prompt)) => format!(
            "By its counters the server took {} of {} prompt tokens from its cache, {}{}; its answers do \
             not say how many of each prompt (vLLM: --enable-prompt-tokens-details, SGLang: \
             --enable-cache-report).",
            grouped(cached.max(0.0) as u64),
            grouped(prompt.max(0.0) as u64),
            percent(if prompt > 0.0 { cached / prompt } else { 0.0 }),
            by_tier(ledger, server)
        ),
        None => "What the server took from its cache is not reported (vLLM: \
                 --enable-prompt-tokens-details, SGLang: --enable-cache-report)."
            .to_owned(),
    }
}

/// Where it came from, if not all from the device.
fn by_tier(ledger: &CacheLedger, server: Option<&ServerReport>) -> String {
    let of_answers = &ledger.total.cached_by_tier;
    let mut parts: Vec<(&str, u64)> =
        [("device", of_answers.device), ("host", of_answers.host), ("storage", of_answers.storage)]
            .into_iter()
            .filter_map(|(name, tokens)| Some((name, tokens?)))
            .collect();
    if parts.is_empty() {
        let tiers = server.into_iter().flat_map(|server| &server.tiers);
        let counted = tiers.filter_map(|tier| Some((&*tier.tier, tier.tokens?.max(0.0) as u64)));
        parts = counted.collect();
    }
    parts.retain(|(_, tokens)| *tokens > 0);
    let behind = parts.iter().any(|(name, _)| *name != "device");
    if !behind {
        return String::new();
    }
    let parts = parts.iter().map(|(name, tokens)| format!("{name} {}", grouped(*tokens)));
    format!(" ({})", parts.collect::<Vec<_>>().join(", "))
}

fn what_it_could(ledger: &CacheLedger) -> Option<String> {
    let total = &ledger.total;
    let (ideal, prompt) = (total.ideal_tokens?, total.rendered_tokens?);
    if ideal == 0 {
        return Some(
            "No cache could have served any of it: no prompt repeats a full block.".into(),
        );
    }
    let mut text =
        format!("An endless cache could have served {} ({})", grouped(ideal), share(ideal, prompt));
    if let Some(own) = total.own_history_tokens {
        let own = share(own, ideal);
        let _ = write!(text, ", {own} of that from the conversations' own earlier turns");
    }
    if let Some(efficiency) = total.efficiency {
        let _ = write!(text, "; the server reached {} of it", percent(efficiency));
    }
    Some(text + ".")
}

/// What kept tokens from being served, the most first.
fn what_limits(ledger: &CacheLedger, causes: &TokenCauses) -> Option<String> {
    let of = |tokens: u64| share(tokens, causes.prompt_tokens);
    let mut reasons = vec![
        (causes.new_tokens, format!("{} was sent for the first time", of(causes.new_tokens))),
        (causes.rounded_tokens, format!("{} did not fill a block", of(causes.rounded_tokens))),
        (causes.capacity_tokens, capacity(ledger, causes)),
        (causes.other_tokens, other(ledger, causes)),
    ];
    reasons.retain(|(tokens, _)| {
        *tokens as f64 >= WORTH_TELLING * causes.prompt_tokens as f64 && *tokens > 0
    });
    reasons.sort_by_key(|(tokens, _)| std::cmp::Reverse(*tokens));
    let reasons: Vec<String> = reasons.into_iter().map(|(_, reason)| reason).collect();
    (!reasons.is_empty()).then(|| format!("Of the prompts, {}.", reasons.join("; ")))
}

fn capacity(ledger: &CacheLedger, causes: &TokenCauses) -> String {
    let mut text = format!(
        "{} had been sent but was evicted",
        share(causes.capacity_tokens, causes.prompt_tokens)
    );
    if let (Some(median), Some(holds)) =
        (causes.needed_cache_p50_tokens, ledger.device_capacity_tokens)
    {
        let (median, holds) = (grouped(median), grouped(holds));
        let _ = write!(
            text,
            ", since {median} tokens (median) were used before it came back and the device holds {holds}"
        );
    }
    text
}

fn other(ledger: &CacheLedger, causes: &TokenCauses) -> String {
    let part = share(causes.other_tokens, causes.prompt_tokens);
    match ledger.device_capacity_tokens {
        Some(_) => format!(
            "{part} had been sent and would have fitted into the device's cache, but was not found there"
        ),
        None => format!(
            "{part} had been sent but was not found (how much the cache holds is not known, so neither \
             is why)"
        ),
    }
}

/// Tiers that tokens come back from more slowly than they are computed.
fn slow_tiers(ledger: &CacheLedger) -> Vec<&TierSpeed> {
    let tiers = ledger.speeds.iter().flat_map(|speeds| &speeds.tiers);
    tiers.filter(|tier| tier.break_even == Some(SpeedBreakEven::Never)).collect()
}

fn slower(ledger: &CacheLedger, tier: &TierSpeed) -> String {
    let speed = |figure: &SpeedFigure| {
        figure.told().map_or_else(|| "?".to_owned(), |speed| grouped(speed.value as u64))
    };
    let recompute = ledger.speeds.as_ref().map(|speeds| &speeds.recompute_tokens_per_sec);
    format!(
        "Tokens from {} came back at {} a second and are computed at {}: the cache made these requests \
         slower.",
        tier.tier,
        speed(&tier.reload_tokens_per_sec),
        recompute.map_or_else(|| "?".to_owned(), speed)
    )
}

fn faster_tiers(slow: &[&TierSpeed]) -> String {
    let names: Vec<&str> = slow.iter().map(|tier| &*tier.tier).collect();
    format!("To try: do without {}, or make it faster.", names.join(" and "))
}

fn what_to_try(ledger: &CacheLedger, causes: &TokenCauses) -> Option<String> {
    let total = &ledger.total;
    let ideal = total.ideal_tokens.filter(|ideal| *ideal > 0)?;
    if total.efficiency.is_some_and(|efficiency| efficiency >= DID_ITS_PART) {
        return Some(
            "The cache did all that a cache can do for this workload; what remains has to be computed."
                .to_owned(),
        );
    }
    if causes.capacity_tokens >= causes.other_tokens && causes.capacity_tokens > 0 {
        let proposed = |needed: &&NeededCapacity| needed.share >= PROPOSED_SHARE;
        let needed = ledger.needed.iter().find(proposed)?;
        let size = match needed.size.bytes {
            Some(bytes) => format!(" ({:.1} GiB)", bytes / (1_u64 << 30) as f64),
            None => String::new(),
        };
        return Some(format!(
            "To try: a cache, or a tier behind the device, of {} tokens{size}, which would serve {} of \
             the ideal; or fewer conversations at once.",
            grouped(needed.size.tokens),
            percent(needed.share)
        ));
    }
    let is_much = causes.other_tokens as f64 >= WORTH_TELLING * ideal as f64;
    is_much.then(|| {
        "To try: see whether all turns of a conversation reach the same engine (routing), whether others \
         use the server, and whether prefix caching keeps answers as well as prompts."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use crate::ledger::testing::row;
    use crate::ledger::{CacheLedger, LedgerSources, OtherAttempts};
    use crate::{
        BlockSizeSource, CacheSize, Counts, NeededCapacity, PromptFacts, RequestRow, RunReuse,
        TokenBasis,
    };

    fn words(rows: &[RequestRow], device_capacity_tokens: Option<u64>) -> String {
        let size = CacheSize::of_blocks(100, 16, Some(131_072.0));
        let reuse = RunReuse {
            prompts: PromptFacts {
                basis: TokenBasis::Server,
                block_tokens: 16,
                block_size_source: BlockSizeSource::Server,
            },
            device_capacity_tokens,
            distinct_tokens: 0,
            needed: vec![NeededCapacity { share: 0.95, size }],
            requests: Vec::new(),
        };
        let ledger = CacheLedger::of(&LedgerSources {
            rows,
            reuse: Some(&reuse),
            server: None,
            counts: &Counts::default(),
            other_attempts: &OtherAttempts::default(),
            kv_bytes_per_token: None,
        });
        ledger.words.join(" ")
    }

    fn check(rows: &[RequestRow], capacity: Option<u64>, expect: &[&str]) {
        let words = words(rows, capacity);
        for part in expect {
            assert!(words.contains(part), "{part}: {words}");
        }
    }

    #[test]
    fn a_cache_that_did_its_part_is_told_so() {
        let rows = [row(1, (100, 0, 0), None, None, 0), row(2, (300, 96, 96), None, None, 4)];
        check(
            &rows,
            None,
            &[
                "took 96 of 400 prompt tokens from its cache, 24.0 %.",
                "could have served 96 (24.0 %)",
                "the server reached 100.0 % of it",
                "Of the prompts, 75.0 % was sent for the first time; 1.0 % did not fill a block.",
                "did all that a cache can do",
            ],
        );
    }

    #[test]
    fn evictions_are_told_with_the_distance_that_caused_them() {
        let rows =
            [row(1, (100, 0, 0), Some(0), None, 0), row(2, (300, 96, 16), Some(16), Some(900), 0)];
        check(
            &rows,
            Some(500),
            &[
                "20.0 % had been sent but was evicted, since 900 tokens (median) were used before it came \
             back and the device holds 500",
                "To try: a cache, or a tier behind the device, of 1,600 tokens (0.2 GiB), which would serve \
             95.0 % of the ideal",
            ],
        );
    }

    #[test]
    fn what_would_have_fitted_is_not_blamed_on_size() {
        let rows =
            [row(1, (100, 0, 0), Some(0), None, 0), row(2, (300, 96, 16), Some(96), Some(90), 0)];
        check(&rows, Some(500), &["would have fitted into the device's cache", "(routing)"]);
        let unknown = [rows[0].clone(), RequestRow { lru_tokens: None, ..rows[1].clone() }];
        check(&unknown, None, &["how much the cache holds is not known"]);
    }

    #[test]
    fn what_is_not_reported_is_said_and_no_advice_follows() {
        let unreported = RequestRow { cached_tokens: None, ..row(1, (100, 16, 0), None, None, 0) };
        let words = words(&[unreported], Some(500));
        assert!(words.contains("is not reported (vLLM: --enable-prompt-tokens-details"), "{words}");
        assert!(!words.contains("To try") && !words.contains("Of the prompts"), "{words}");
    }

    #[test]
    fn numbers_that_cannot_be_are_not_reasoned_from() {
        let rows = [row(1, (100, 64, 120), None, None, 0)];
        let words = words(&rows, None);
        assert!(words.contains("The server's numbers cannot be true"), "{words}");
        assert!(!words.contains("did all that"), "{words}");
    }
}
