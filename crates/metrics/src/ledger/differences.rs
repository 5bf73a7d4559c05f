use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counters::Counters;
use super::{BlockSizeSource, CacheLedger, LedgerSources, PromptFacts};
use crate::{RequestRow, TokenBasis, grouped};

/// Two sources that tell of the same tokens, and what to make of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What is compared.
    pub id: DifferenceId,
    /// What the first source says, in tokens.
    pub one_tokens: f64,
    /// What the second source says, in tokens.
    pub other_tokens: f64,
    /// Whether they agree.
    pub finding: Finding,
    /// Why they may differ, or what follows.
    pub explanation: String,
}

/// What is compared with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceId {
    /// Prompt tokens in the answers' usage; prompts made anew here.
    PromptLength,
    /// Prompt tokens in the answers' usage; the server's counter.
    PromptCounter,
    /// Cached tokens in the answers' usage; the server's counter.
    CachedCounter,
    /// The same of the device alone.
    DeviceCounter,
    /// The same of the host's memory.
    HostCounter,
    /// The same of everything behind it.
    StorageCounter,
    /// What prompts have, less a token each, where answers tell of more cached tokens than that; those
    /// cached tokens.
    MoreThanPrompt,
    /// The ideal; cached tokens in the answers' usage beyond it.
    BeyondIdeal,
}

impl DifferenceId {
    /// What is compared, in words.
    pub const fn what(self) -> &'static str {
        match self {
            Self::PromptLength => "prompt tokens: answers, made anew",
            Self::PromptCounter => "prompt tokens: answers, counter",
            Self::CachedCounter => "cached tokens: answers, counter",
            Self::DeviceCounter => "from the device: answers, counter",
            Self::HostCounter => "from the host: answers, counter",
            Self::StorageCounter => "from storage: answers, counter",
            Self::MoreThanPrompt => "cached tokens: at most, answers",
            Self::BeyondIdeal => "cached tokens: the ideal, answers",
        }
    }
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Both say the same.
    Agree,
    /// They differ for a reason that is known, or for one that fits.
    Explained,
    /// They differ, and nothing here explains it.
    Unexplained,
}

use DifferenceId::{BeyondIdeal, MoreThanPrompt, PromptLength};
use Finding::{Agree, Explained, Unexplained};

pub(super) fn tokens(count: f64) -> String {
    grouped(count.abs().round() as u64)
}

/// Every comparison for which there are two sources.
pub(super) fn all(ledger: &CacheLedger, sources: &LedgerSources<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    found.extend(prompt_length(ledger, sources.rows));
    if let Some(server) = sources.server {
        found.extend(Counters { ledger, server, sources }.all());
    }
    match more_than_prompt(sources.rows) {
        Some(wrong) => found.push(wrong),
        None => found.extend(beyond_ideal(ledger)),
    }
    found
}

fn prompt_length(ledger: &CacheLedger, rows: &[RequestRow]) -> Option<Difference> {
    let basis = &ledger.prompts.as_ref()?.basis;
    let both = rows.iter().filter_map(|row| {
        Some((row.prompt_tokens? as f64, f64::from(row.rendered_prompt_tokens?)))
    });
    let both: Vec<(f64, f64)> = both.collect();
    let (one, other) = both.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let mut apart: Vec<f64> =
        both.iter().map(|(one, other)| one - other).filter(|apart| *apart != 0.0).collect();
    apart.sort_unstable_by(f64::total_cmp);
    let Some(&median) = apart.get(apart.len() / 2) else {
        return (!both.is_empty()).then(|| Difference {
            id: PromptLength,
            one_tokens: one,
            other_tokens: other,
            finding: Agree,
            explanation: "every prompt is of the length that the server counted".to_owned(),
        });
    };
    let how = format!(
        "{} of {} prompts differ, by {}{} tokens (median)",
        grouped(apart.len() as u64),
        grouped(both.len() as u64),
        if median < 0.0 { "-" } else { "" },
        tokens(median)
    );
    let (finding, why) = match basis {
        TokenBasis::Messages { .. } => (
            Explained,
            "the server's chat template is not in them: block boundaries, and with them the ideal, are \
             about right only; a --tokenizer with a chat template, or --prompt-tokens server, makes \
             them exact",
        ),
        TokenBasis::ChatTemplate { .. } if median == 1.0 && apart.len() == both.len() => (
            Explained,
            "one token each is what a tokenizer puts at the beginning of a prompt (BOS)",
        ),
        TokenBasis::ChatTemplate { .. } => (
            Unexplained,
            "the server renders messages in another way than this tokenizer's chat template; the ideal \
             is about right only (--prompt-tokens server asks the server)",
        ),
        TokenBasis::Server | TokenBasis::BlockNames | TokenBasis::Lengths | TokenBasis::None => {
            (Unexplained, "the server's /tokenize gives other prompts than those it answers to")
        }
    };
    let explanation = format!("{how}: {why}");
    Some(Difference {
        id: PromptLength,
        one_tokens: one,
        other_tokens: other,
        finding,
        explanation,
    })
}

/// One token of a prompt is computed in any case.
fn more_than_prompt(rows: &[RequestRow]) -> Option<Difference> {
    let both = rows.iter().filter_map(|row| {
        let possible = row.prompt_tokens?.saturating_sub(1);
        row.cached_tokens.filter(|cached| *cached > possible).map(|cached| (possible, cached))
    });
    let wrong: Vec<(u64, u64)> = both.collect();
    (!wrong.is_empty()).then(|| Difference {
        id: MoreThanPrompt,
        one_tokens: wrong.iter().map(|(possible, _)| possible).sum::<u64>() as f64,
        other_tokens: wrong.iter().map(|(_, cached)| cached).sum::<u64>() as f64,
        finding: Unexplained,
        explanation: format!(
            "{} of {} answers tell of more cached tokens than their prompts have: what this server says \
             of its cache is wrong",
            grouped(wrong.len() as u64),
            grouped(rows.len() as u64)
        ),
    })
}

fn beyond_ideal(ledger: &CacheLedger) -> Option<Difference> {
    let beyond = ledger.total.beyond_tokens.filter(|beyond| *beyond > 0)?;
    let ideal = ledger.total.ideal_tokens? as f64;
    let PromptFacts { basis, block_tokens, block_size_source } = ledger.prompts.as_ref()?;
    let causes = ledger.causes.as_ref()?;
    let assumed = *block_size_source == BlockSizeSource::Assumed;
    let why = if assumed && beyond <= u64::from(*block_tokens) * causes.requests {
        "less than a block each: the server's blocks are smaller than was assumed (--block-size; SGLang's \
         pages have 1 token unless --page-size says more)"
    } else if causes.waited_tokens >= causes.beyond_tokens {
        "other requests left them while these waited for their first token"
    } else if matches!(basis, TokenBasis::Messages { .. }) {
        "prompts made without the server's chat template have other block boundaries than its own"
    } else {
        "the cache held this text before the run began, from an earlier run or another client (to tell \
         what this run alone did, begin with an empty cache: restart the server or reset its prefix \
         cache)"
    };
    Some(Difference {
        id: BeyondIdeal,
        one_tokens: ideal,
        other_tokens: ideal + beyond as f64,
        finding: Explained,
        explanation: format!(
            "{} more than this run's own requests had left when they were sent: {why}",
            grouped(beyond)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::{DifferenceId, Finding};
    use crate::ledger::testing::row;
    use crate::ledger::{CacheLedger, LedgerSources, OtherAttempts};
    use crate::{BlockSizeSource, Counts, PromptFacts, RunReuse, TokenBasis};

    fn reuse(basis: TokenBasis) -> RunReuse {
        let block_size_source = BlockSizeSource::Assumed;
        RunReuse {
            prompts: PromptFacts { basis, block_tokens: 16, block_size_source },
            device_capacity_tokens: None,
            distinct_tokens: 0,
            needed: Vec::new(),
            requests: Vec::new(),
        }
    }

    fn lengths(basis: TokenBasis, rendered: [u32; 2]) -> (Finding, String) {
        let mut rows = [row(1, (100, 0, 0), None, None, 0), row(2, (200, 96, 96), None, None, 0)];
        for (row, tokens) in rows.iter_mut().zip(rendered) {
            row.rendered_prompt_tokens = Some(tokens);
        }
        let reuse = reuse(basis);
        let sources = LedgerSources {
            rows: &rows,
            reuse: Some(&reuse),
            server: None,
            counts: &Counts::default(),
            other_attempts: &OtherAttempts::default(),
            kv_bytes_per_token: None,
        };
        let ledger = CacheLedger::of(&sources);
        let found = &ledger.differences[0];
        assert_eq!(found.id, DifferenceId::PromptLength);
        (found.finding, found.explanation.clone())
    }

    #[test]
    fn a_little_beyond_the_ideal_is_a_smaller_block() {
        let ledger = |cached| {
            let rows =
                [row(1, (100, 0, 0), None, None, 0), row(2, (200, 96, cached), None, None, 0)];
            let reuse = reuse(TokenBasis::Server);
            CacheLedger::of(&LedgerSources {
                rows: &rows,
                reuse: Some(&reuse),
                server: None,
                counts: &Counts::default(),
                other_attempts: &OtherAttempts::default(),
                kv_bytes_per_token: None,
            })
        };
        let why = |cached| {
            let ledger = ledger(cached);
            let last = ledger.differences.last().unwrap();
            assert_eq!((last.id, last.finding), (DifferenceId::BeyondIdeal, Finding::Explained));
            last.explanation.clone()
        };
        assert!(why(107).contains("blocks are smaller than was assumed"), "{}", why(107));
        assert!(why(190).contains("before the run began"), "{}", why(190));
        assert_eq!(ledger(96).differences.len(), 1);
    }

    #[test]
    fn prompts_of_another_length_are_explained_by_how_they_were_made() {
        let tokenizer = || "t".to_owned();
        let template =
            || TokenBasis::ChatTemplate { tokenizer: tokenizer(), rejected_conversations: 0 };
        let (finding, why) = lengths(template(), [100, 200]);
        assert!(finding == Finding::Agree && why.contains("every prompt"), "{why}");
        let (finding, why) = lengths(template(), [99, 199]);
        assert!(finding == Finding::Explained && why.contains("BOS"), "{why}");
        let (finding, why) = lengths(template(), [100, 190]);
        assert!(finding == Finding::Unexplained && why.contains("1 of 2 prompts differ, by 10"));
        let (finding, why) = lengths(TokenBasis::Messages { tokenizer: tokenizer() }, [90, 180]);
        assert!(finding == Finding::Explained && why.contains("chat template"), "{why}");
    }
}
