use turnbench_kvcache::{BlockTable, KvCache};
use turnbench_model::Nanos;

use super::{EngineRequest, RequestId, TIERS_MAX, TokenSource};

/// Tokens that need not be computed at an admission.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Cached {
    /// In all.
    pub(super) tokens: u32,
    /// Of those, from each tier.
    pub(super) tier_tokens: [u32; TIERS_MAX],
}

/// How far the loads of a request from tiers are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Loading {
    pub(super) started: Nanos,
    /// Loads that have not ended.
    pub(super) pending_count: u32,
    /// What will be there afterwards.
    pub(super) cached: Cached,
    /// From the start to the end of the last load.
    pub(super) load_ns: Nanos,
}

/// A request inside the engine, waiting, loading or running.
///
/// **Invariant:** `computed <= table.token_count()`; equal exactly when the step that was scheduled
/// last yields a token.
pub(super) struct Sequence {
    pub(super) id: RequestId,
    pub(super) submitted: Nanos,
    pub(super) table: BlockTable,
    pub(super) answer: Box<dyn TokenSource>,
    pub(super) prompt_tokens: u32,
    pub(super) max_tokens: u32,
    pub(super) output_tokens: u32,
    /// Tokens whose keys and values exist at the end of the step last scheduled.
    pub(super) computed: u64,
    /// Tokens of the step in progress; 0 when left out for want of budget.
    pub(super) scheduled: u64,
    /// Has yielded a token since it was (re-)admitted.
    pub(super) decoding: bool,
    /// Set at the first admission: what was found in the cache and in tiers.
    pub(super) cached: Option<Cached>,
    /// Loads since it was (re-)admitted.
    pub(super) loading: Loading,
    /// Leading blocks that each tier was offered since then.
    pub(super) offered: [usize; TIERS_MAX],
    pub(super) skip_prefix_lookup: bool,
}

impl Sequence {
    pub(super) fn new(
        id: RequestId,
        request: EngineRequest,
        max_tokens: u32,
        cache: &KvCache,
        submitted: Nanos,
    ) -> Self {
        let mut table = cache.table(request.cache_salt.as_deref());
        table.push_all(&request.prompt);
        Self {
            id,
            submitted,
            table,
            answer: request.answer,
            prompt_tokens: request.prompt.len() as u32,
            max_tokens,
            output_tokens: 0,
            computed: 0,
            scheduled: 0,
            decoding: false,
            cached: None,
            loading: Loading::default(),
            offered: [0; TIERS_MAX],
            skip_prefix_lookup: request.skip_prefix_lookup,
        }
    }

    /// What was cached at the first admission, in tokens; 0 before it.
    pub(super) fn cached_tokens(&self) -> u32 {
        self.cached.map_or(0, |cached| cached.tokens)
    }

    /// Known tokens that are not computed yet.
    pub(super) fn missing(&self) -> u64 {
        self.table.token_count().saturating_sub(self.computed)
    }
}
