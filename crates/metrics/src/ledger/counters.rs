use turnbench_model::FigureFlag;

use super::differences::{Difference, DifferenceId, Finding, tokens};
use super::{CacheLedger, LedgerSources};
use crate::{ServerReport, grouped};

use DifferenceId::{CachedCounter, DeviceCounter, HostCounter, PromptCounter, StorageCounter};
use Finding::{Agree, Explained, Unexplained};

const FEWER: &str = "the counter tells of fewer than the answers do: it may be another server's, or \
                     one engine's of several (--metrics-url)";

/// Counts of tokens that are the same.
fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.5
}

/// Answers against counters.
pub(super) struct Counters<'a> {
    pub(super) ledger: &'a CacheLedger,
    pub(super) server: &'a ServerReport,
    pub(super) sources: &'a LedgerSources<'a>,
}

impl Counters<'_> {
    /// Every comparison for which both are there.
    pub(super) fn all(&self) -> impl Iterator<Item = Difference> {
        self.prompts().into_iter().chain(self.cached()).chain(self.tiers())
    }

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
        Some(self.counted(CachedCounter, self.answered_cached()?, self.server.cached_tokens?))
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
            Some(self.counted(id, one? as f64, other?))
        })
    }

    /// What answers say was cached against what a counter says was.
    fn counted(&self, id: DifferenceId, one: f64, other: f64) -> Difference {
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
        Difference { id, one_tokens: one, other_tokens: other, finding, explanation }
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Figure, FigureReading, ServerFigures};

    use crate::ledger::testing::row;
    use crate::ledger::{CacheLedger, LedgerSources, OtherAttempts};
    use crate::{Counts, DifferenceId, Finding, RequestCounts, ServerReport};

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
            other_attempts: &OtherAttempts::default(),
            kv_bytes_per_token: None,
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
}
