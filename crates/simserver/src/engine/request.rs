use std::sync::Arc;

/// Names a request for its whole life; counts up from 0 in the order of submission.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

/// One token of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Generated {
    /// The token id.
    pub token: u32,
    /// The answer is complete with this token: the request ends with
    /// [`super::FinishReason::Stop`], also when it is the last one that `max_tokens` allows.
    pub stop: bool,
}

/// Where the tokens of one request's answer come from.
pub trait TokenSource: Send {
    /// The token at `index` of the answer. Called once for every index, from 0 upwards, and not
    /// again after one with `stop`; a preempted request keeps the tokens it has.
    fn next(&mut self, index: u32) -> Generated;
}

/// What to run.
pub struct EngineRequest {
    /// Token ids of the prompt; at least one.
    pub prompt: Arc<[u32]>,
    /// Most answer tokens; at least 1. Shortened so that prompt and answer fit into
    /// `max_model_len`, as vLLM does.
    pub max_tokens: u32,
    /// The answer.
    pub answer: Box<dyn TokenSource>,
    /// Requests share cached blocks only with requests of the same salt.
    pub cache_salt: Option<Arc<str>>,
    /// Compute the whole prompt without looking into the cache (its blocks are stored all the
    /// same); does not count as a query. vLLM does so for `prompt_logprobs`.
    pub skip_prefix_lookup: bool,
}

impl EngineRequest {
    /// A request without salt that uses the cache.
    pub fn new(prompt: Arc<[u32]>, max_tokens: u32, answer: Box<dyn TokenSource>) -> Self {
        Self { prompt, max_tokens, answer, cache_salt: None, skip_prefix_lookup: false }
    }
}

impl std::fmt::Debug for EngineRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EngineRequest")
            .field("prompt_tokens", &self.prompt.len())
            .field("max_tokens", &self.max_tokens)
            .field("cache_salt", &self.cache_salt)
            .field("skip_prefix_lookup", &self.skip_prefix_lookup)
            .finish_non_exhaustive()
    }
}
