use turnbench_model::{CachedByTier, Nanos};

/// Why a prompt is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The server's first requests; no time of theirs counts.
    WarmUp,
    /// New to the server.
    Fresh,
    /// Once more, right after it was sent.
    Again,
    /// Once more, after other prompts.
    Revisit,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Tokens of the prompt, by the server.
    pub tokens: u32,
    /// Time to first token.
    pub ttft: Nanos,
    /// Prompt tokens that the server reported as cached.
    pub cached_tokens: Option<u64>,
    /// Where they were, where it tells.
    pub by_tier: Option<CachedByTier>,
}

/// One answered request.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// The prompt's number.
    pub prompt: u32,
    /// Why it was sent.
    pub purpose: Purpose,
    /// Which round of probing it belongs to, from 0; a round begins anew with slower writes.
    pub round: u32,
    /// Tokens of other prompts since the prompt was last sent, each once; `None` if it is new.
    pub newer_tokens: Option<u64>,
    /// What came back.
    pub answered: Answered,
}

impl Visit {
    /// Tokens of the prompt.
    pub(crate) fn tokens(&self) -> f64 {
        f64::from(self.answered.tokens)
    }

    /// Time to first token in ms.
    pub(crate) fn ttft_ms(&self) -> f64 {
        self.answered.ttft.as_millis_f64()
    }

    /// Share of the prompt that was reported as cached, 0 to 1.
    pub(crate) fn cached_share(&self) -> Option<f64> {
        let cached = self.answered.cached_tokens? as f64;
        Some((cached / self.tokens().max(1.0)).min(1.0))
    }

    /// Tokens of the prompt that were computed, where it is reported.
    pub(crate) fn computed_tokens(&self) -> Option<f64> {
        Some((self.tokens() - self.answered.cached_tokens? as f64).max(0.0))
    }
}
