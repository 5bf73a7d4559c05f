use std::sync::Arc;

use hyper::HeaderMap;
use turnbench_model::Nanos;

use super::answer::{Api, CacheUsage, CachedDetails, RequestMetrics, Usage, reason_name};
use crate::driver::Finish;
use crate::engine::{FinishReason, TierKind};
use crate::telemetry::{Timeline, scaled};
use crate::truth::{DEVICE, TierTokens, TruthEntry, WriteWatch};
use turnbench_socket::Arrival;

/// The server's books on one request: what it will say about it, and where the truth is noted.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) api: Api,
    pub(crate) stream: bool,
    /// The answer's id.
    pub(crate) id: String,
    pub(crate) x_request_id: Option<String>,
    pub(crate) x_session_id: Option<String>,
    pub(crate) arrival: Arrival,
    /// The wall clock at the monotonic clock's epoch, in nanoseconds since the Unix epoch.
    pub(crate) epoch_unix_ns: u64,
    pub(crate) prompt_tokens: u32,
    pub(crate) block_size: u32,
    pub(crate) prefix_caching: bool,
    /// Report cached tokens.
    pub(crate) details: bool,
    /// The request wants to know where cached tokens were.
    pub(crate) cached_details: bool,
    /// The tiers, nearest first.
    pub(crate) tiers: Arc<[TierKind]>,
    /// As in the server's options.
    pub(crate) cached_factor: f64,
    /// Report times.
    pub(crate) metrics: bool,
    pub(crate) watch: Arc<WriteWatch>,
}

impl Account {
    /// A field of the request, for the truth.
    pub(crate) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }

    /// The `usage` of a finished answer.
    pub(crate) fn usage(&self, timeline: &Timeline) -> Usage {
        let cached = self.reported(timeline.cached_tokens);
        let full_blocks = timeline.prompt_tokens / self.block_size * self.block_size;
        let created = if self.prefix_caching { full_blocks.saturating_sub(cached) } else { 0 };
        Usage {
            prompt_tokens: timeline.prompt_tokens,
            completion_tokens: timeline.output_tokens,
            cache: self.details.then_some(CacheUsage {
                cached,
                created: (self.api == Api::Chat).then_some(created),
            }),
        }
    }

    /// Where cached tokens were, if the request asked.
    pub(crate) fn cached_details(&self, timeline: &Timeline) -> Option<CachedDetails> {
        if !self.cached_details {
            return None;
        }
        let on_device = timeline.cached_tokens - timeline.tier_tokens.iter().sum::<u32>();
        let mut details =
            CachedDetails { device: self.reported(on_device), ..CachedDetails::default() };
        for (kind, tokens) in self.tiers.iter().zip(timeline.tier_tokens) {
            let tokens = self.reported(tokens);
            match kind {
                TierKind::Host => details.host += tokens,
                TierKind::Disk | TierKind::P2p => {
                    let storage = details.storage.get_or_insert_default();
                    storage.tokens += tokens;
                    storage.backends.push(kind.name());
                }
            }
        }
        Some(details)
    }

    fn reported(&self, cached: u32) -> u32 {
        u32::try_from(scaled(u64::from(cached), self.cached_factor)).unwrap_or(u32::MAX)
    }

    fn tier_tokens(&self, timeline: &Timeline) -> Option<TierTokens> {
        if self.tiers.is_empty() {
            return None;
        }
        let on_device = timeline.cached_tokens - timeline.tier_tokens.iter().sum::<u32>();
        let behind = self.tiers.iter().map(|kind| kind.name()).zip(timeline.tier_tokens);
        Some(TierTokens {
            cached_tokens_by_tier: std::iter::once((DEVICE, on_device)).chain(behind).collect(),
            computed_tokens: timeline.prompt_tokens - timeline.cached_tokens,
            load_ns: timeline.load_ns.0,
        })
    }

    /// The times of a finished answer, if they are reported.
    pub(crate) fn times(&self, timeline: &Timeline) -> Option<RequestMetrics> {
        if !self.metrics {
            return None;
        }
        let (first, last) = (timeline.first_token?, timeline.last_token?);
        let busy_secs = last.since(timeline.admitted).as_secs_f64();
        Some(RequestMetrics {
            time_to_first_token_ms: first.since(timeline.admitted).as_millis_f64(),
            generation_time_ms: last.since(first).as_millis_f64(),
            queue_time_ms: timeline.admitted.since(timeline.arrived).as_millis_f64(),
            mean_itl_ms: timeline.mean_gap_secs().map(|gap| gap * 1e3),
            tokens_per_second: f64::from(timeline.output_tokens) / busy_secs,
        })
    }

    /// The truth about a request that ended.
    pub(crate) fn truth(&self, finish: &Finish) -> TruthEntry {
        let due = |at: Option<Nanos>| at.map(|at| self.epoch_unix_ns + at.0);
        let timeline = &finish.timeline;
        TruthEntry {
            first_token_due_unix_ns: due(timeline.first_token),
            last_token_due_unix_ns: due(timeline.last_token),
            cached_tokens: Some(timeline.cached_tokens),
            tiers: self.tier_tokens(timeline),
            ..self.cut_truth(timeline.output_tokens, finish.reason)
        }
    }

    /// The truth about a request whose client went away after `output_tokens`.
    pub(crate) fn cut_truth(&self, output_tokens: u32, reason: FinishReason) -> TruthEntry {
        TruthEntry {
            id: self.id.clone(),
            x_request_id: self.x_request_id.clone(),
            x_session_id: self.x_session_id.clone(),
            path: self.api.path(),
            stream: self.stream,
            arrival_unix_ns: self.arrival.first_unix_ns,
            received_unix_ns: self.arrival.last_unix_ns,
            arrival_source: self.arrival.source,
            first_token_unix_ns: None,
            last_token_unix_ns: None,
            first_token_due_unix_ns: None,
            last_token_due_unix_ns: None,
            writes_unix_ns: Vec::new(),
            prompt_tokens: self.prompt_tokens,
            cached_tokens: None,
            tiers: None,
            output_tokens,
            finish_reason: reason_name(reason),
        }
    }
}
