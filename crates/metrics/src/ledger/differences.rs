use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::FigureFlag;

use super::{CacheLedger, LedgerSources};
use crate::{RequestRow, ServerReport, TokenBasis, grouped};

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

use DifferenceId::{
    BeyondIdeal, CachedCounter, DeviceCounter, HostCounter, MoreThanPrompt, PromptCounter,
    PromptLength, StorageCounter,
};
use Finding::{Agree, Explained, Unexplained};

/// Counts of tokens that are the same.
fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.5
}

fn tokens(count: f64) -> String {
    grouped(count.abs().round() as u64)
}

/// Every comparison for which there are two sources.
pub(super) fn all(ledger: &CacheLedger, sources: &LedgerSources<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    found.extend(prompt_length(ledger, sources.rows));
    if let Some(server) = sources.server {
        let counters = Counters { ledger, server, sources };
        found.extend(counters.prompts());
        found.extend(counters.cached());
        found.extend(counters.tiers());
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

/// Answers against counters.
struct Counters<'a> {
    ledger: &'a CacheLedger,
    server: &'a ServerReport,
    sources: &'a LedgerSources<'a>,
}

impl Counters<'_> {
    /// Attempts that the server may have counted and that are in no sum over completed requests.
    fn other_attempts(&self) -> u64 {
        let requests = &self.sources.counts.requests;
        requests.attempts.saturating_sub(requests.completed)
    }

    fn was_restarted(&self) -> bool {
        self.server.figures.readings.iter().any(|reading| reading.has(FigureFlag::Restarted))
    }

    /// All completed requests' prompts as reported; `None` unless every one reported its own.
    fn answered_prompts(&self) -> Option<f64> {
        let rows = self.sources.rows.iter();
        rows.map(|row| row.prompt_tokens.map(|tokens| tokens as f64)).sum()
    }

    fn answered_cached(&self) -> Option<f64> {
        let reported = &self.ledger.total.reported;
        let is_whole = reported.reporting_requests == reported.requests;
        reported.cached_tokens.filter(|_| is_whole).map(|tokens| tokens as f64)
    }

    fn prompts(&self) -> Option<Difference> {
        let (one, other) = (self.answered_prompts()?, self.server.prompt_tokens?);
        let (finding, explanation) = self.prompts_finding(one, other);
        Some(Difference {
            id: PromptCounter,
            one_tokens: one,
            other_tokens: other,
            finding,
            explanation,
        })
    }

    fn prompts_finding(&self, one: f64, other: f64) -> (Finding, String) {
        let others = self.other_attempts();
        let longest = self.sources.rows.iter().filter_map(|row| row.prompt_tokens).max();
        let longest = longest.unwrap_or(0) as f64;
        if is_same(one, other) {
            (Agree, "the server took up what this run sent and nothing else".to_owned())
        } else if self.was_restarted() {
            (Explained, "the server was started anew during the run".to_owned())
        } else if other > one && others > 0 && other - one <= others as f64 * longest {
            let what = format!(
                "{} attempts that failed or were cut off may be in the counter",
                grouped(others)
            );
            (Explained, what)
        } else if other > one {
            let what = format!(
                "the server took up {} tokens that this run did not send: it had other clients",
                tokens(other - one)
            );
            (Explained, what)
        } else {
            (Unexplained, FEWER.to_owned())
        }
    }

    /// Other clients' prompt tokens, as far as the counters tell; 0 where they agree.
    fn foreign_tokens(&self) -> Option<f64> {
        let (one, other) = (self.answered_prompts()?, self.server.prompt_tokens?);
        Some(if is_same(one, other) { 0.0 } else { other - one })
    }

    fn cached(&self) -> Option<Difference> {
        self.counted(CachedCounter, self.answered_cached()?, self.server.cached_tokens?)
    }

    fn tiers(&self) -> impl Iterator<Item = Difference> {
        let by_answers = &self.ledger.total.cached_by_tier;
        let counted = |names: &[&str]| {
            let of_tiers = self.server.tiers.iter().filter(|tier| names.contains(&&*tier.tier));
            let parts: Vec<f64> = of_tiers.filter_map(|tier| tier.tokens).collect();
            (!parts.is_empty()).then(|| parts.iter().sum::<f64>())
        };
        let compared = [
            (DeviceCounter, by_answers.device, counted(&["device"])),
            (HostCounter, by_answers.host, counted(&["host"])),
            (StorageCounter, by_answers.storage, counted(&["disk", "peer", "unspecified"])),
        ];
        compared.into_iter().filter_map(|(id, one, other)| {
            self.answered_cached()?;
            self.counted(id, one? as f64, other?)
        })
    }

    /// What answers say was cached against what a counter says was.
    fn counted(&self, id: DifferenceId, one: f64, other: f64) -> Option<Difference> {
        let foreign = self.foreign_tokens();
        let (finding, explanation) = if is_same(one, other) {
            (Agree, "answers and counter say the same".to_owned())
        } else if self.was_restarted() {
            (Explained, "the server was started anew during the run".to_owned())
        } else if let Some(foreign) = foreign.filter(|foreign| *foreign > 0.0)
            && other > one
            && other - one <= foreign
        {
            let what = format!(
                "{} more are within the {} prompt tokens that are not in this run's answers",
                tokens(other - one),
                tokens(foreign)
            );
            (Explained, what)
        } else if foreign == Some(0.0) {
            let times = if one > 0.0 {
                format!(" (the counter is {:.2} times the answers)", other / one)
            } else {
                String::new()
            };
            let what = format!(
                "both tell of the same prompts and not of the same hits: one of them is wrong{times}"
            );
            (Unexplained, what)
        } else if other < one {
            (Unexplained, FEWER.to_owned())
        } else {
            (Unexplained, "nothing that was sent explains it".to_owned())
        };
        Some(Difference { id, one_tokens: one, other_tokens: other, finding, explanation })
    }
}

const FEWER: &str = "the counter tells of fewer than the answers do: it may be another server's, or \
                     one engine's of several (--metrics-url)";

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
    let basis = &ledger.prompts.as_ref()?.basis;
    let causes = ledger.causes.as_ref()?;
    let why = if causes.waited_tokens >= causes.beyond_tokens {
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
    use turnbench_model::{Figure, FigureReading, ServerFigures};

    use super::{DifferenceId, Finding};
    use crate::ledger::testing::row;
    use crate::ledger::{CacheLedger, LedgerSources};
    use crate::{
        BlockSizeSource, Counts, PromptFacts, RequestCounts, RunReuse, ServerReport, TokenBasis,
    };

    fn server(prompt: f64, cached: f64) -> ServerReport {
        let reading = |figure, growth| FigureReading {
            figure,
            dialect: "vllm".to_owned(),
            before: Some(0.0),
            after: Some(growth),
            growth: Some(growth),
            warmup_growth: None,
            during: None,
            histogram: None,
            flags: Vec::new(),
            engines: Vec::new(),
            points: Vec::new(),
        };
        let readings =
            vec![reading(Figure::PromptTokens, prompt), reading(Figure::CachedTokens, cached)];
        ServerReport::of(ServerFigures { readings, ..ServerFigures::default() })
    }

    /// Two requests with 300 prompt and 96 cached tokens; `attempts` at them.
    fn check(
        (prompt, cached, attempts): (f64, f64, u64),
        id: DifferenceId,
        finding: Finding,
        says: &str,
    ) {
        let rows = [row(1, (100, 0, 0), None, None, 0), row(2, (200, 96, 96), None, None, 0)];
        let requests = RequestCounts { completed: 2, attempts, ..RequestCounts::default() };
        let ledger = CacheLedger::of(&LedgerSources {
            rows: &rows,
            reuse: None,
            server: Some(&server(prompt, cached)),
            counts: &Counts { requests, ..Counts::default() },
        });
        let found = ledger.differences.iter().find(|one| one.id == id).unwrap();
        assert_eq!(found.finding, finding, "{found:?}");
        assert!(found.explanation.contains(says), "{found:?}");
    }

    #[test]
    fn counters_are_held_against_answers() {
        use DifferenceId::{CachedCounter, PromptCounter};
        use Finding::{Agree, Explained, Unexplained};
        check((300.0, 96.0, 2), PromptCounter, Agree, "and nothing else");
        check((300.0, 96.0, 2), CachedCounter, Agree, "say the same");
        check((1_000.0, 96.0, 2), PromptCounter, Explained, "700 tokens that this run did not");
        check((1_000.0, 400.0, 2), CachedCounter, Explained, "304 more are within the 700");
        check((1_000.0, 4_000.0, 2), CachedCounter, Unexplained, "nothing that was sent");
        check((480.0, 96.0, 3), PromptCounter, Explained, "1 attempts that failed or were cut off");
        check((250.0, 96.0, 2), PromptCounter, Unexplained, "--metrics-url");
        check((300.0, 144.0, 2), CachedCounter, Unexplained, "is 1.50 times the answers");
        check((300.0, 10.0, 2), CachedCounter, Unexplained, "one of them is wrong");
    }

    fn lengths(basis: TokenBasis, rendered: [u32; 2]) -> (Finding, String) {
        let mut rows = [row(1, (100, 0, 0), None, None, 0), row(2, (200, 96, 96), None, None, 0)];
        for (row, tokens) in rows.iter_mut().zip(rendered) {
            row.rendered_prompt_tokens = Some(tokens);
        }
        let reuse = RunReuse {
            prompts: PromptFacts {
                basis,
                block_tokens: 16,
                block_size_source: BlockSizeSource::Assumed,
            },
            device_capacity_tokens: None,
            kv_bytes_per_token: None,
            distinct_tokens: 0,
            needed: Vec::new(),
            requests: Vec::new(),
        };
        let sources = LedgerSources {
            rows: &rows,
            reuse: Some(&reuse),
            server: None,
            counts: &Counts::default(),
        };
        let ledger = CacheLedger::of(&sources);
        let found = &ledger.differences[0];
        assert_eq!(found.id, DifferenceId::PromptLength);
        (found.finding, found.explanation.clone())
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
