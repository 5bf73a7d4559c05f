use turnbench_model::Nanos;

use crate::engine::{EngineOptions, EngineStats, FinishReason, TIERS_MAX, TierStats};
use crate::histogram::{
    FIRST_TOKEN_BOUNDS, Histogram, PHASE_BOUNDS, PREEMPTION_BOUNDS, SMALL_COUNT_BOUNDS,
    STEP_TOKENS_BOUNDS, TOKEN_GAP_BOUNDS, token_bounds,
};

/// The moments of one request in simulated time, and its counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Timeline {
    /// Its last byte reached the machine.
    pub(crate) arrived: Nanos,
    /// First scheduled; equals `arrived` until then.
    pub(crate) admitted: Nanos,
    pub(crate) first_token: Option<Nanos>,
    pub(crate) last_token: Option<Nanos>,
    pub(crate) prompt_tokens: u32,
    pub(crate) cached_tokens: u32,
    /// Of those, from each tier.
    pub(crate) tier_tokens: [u32; TIERS_MAX],
    /// What loading those took.
    pub(crate) load_ns: Nanos,
    pub(crate) output_tokens: u32,
    pub(crate) preemptions: u32,
    /// Most answer tokens it could get.
    pub(crate) max_tokens: u32,
}

impl Timeline {
    /// Notes a token and gives the gap since the one before.
    pub(crate) fn token(&mut self, at: Nanos) -> Option<Nanos> {
        let gap = self.last_token.map(|last| at.since(last));
        self.first_token.get_or_insert(at);
        self.last_token = Some(at);
        self.output_tokens += 1;
        gap
    }

    /// Mean gap between tokens; `None` below two tokens.
    pub(crate) fn mean_gap_secs(&self) -> Option<f64> {
        let span = self.last_token?.since(self.first_token?);
        (self.output_tokens > 1).then(|| span.as_secs_f64() / f64::from(self.output_tokens - 1))
    }
}

/// Per-request distributions that the engine does not keep. Times are simulated ones.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry {
    pub(crate) prompt_tokens: Histogram,
    pub(crate) generation_tokens: Histogram,
    pub(crate) step_tokens: Histogram,
    pub(crate) max_generation_tokens: Histogram,
    pub(crate) params_n: Histogram,
    pub(crate) params_max_tokens: Histogram,
    pub(crate) first_token: Histogram,
    pub(crate) token_gap: Histogram,
    pub(crate) time_per_token: Histogram,
    pub(crate) latency: Histogram,
    pub(crate) queue: Histogram,
    pub(crate) inference: Histogram,
    pub(crate) prefill: Histogram,
    pub(crate) decode: Histogram,
    pub(crate) preemptions: Histogram,
    pub(crate) prefill_computed: Histogram,
}

impl Telemetry {
    /// Empty.
    pub(crate) fn new(max_model_len: u32) -> Self {
        let tokens = || Histogram::new(token_bounds(max_model_len));
        let phase = || Histogram::new(PHASE_BOUNDS.to_vec());
        let gap = || Histogram::new(TOKEN_GAP_BOUNDS.to_vec());
        Self {
            prompt_tokens: tokens(),
            generation_tokens: tokens(),
            step_tokens: Histogram::new(STEP_TOKENS_BOUNDS.to_vec()),
            max_generation_tokens: tokens(),
            params_n: Histogram::new(SMALL_COUNT_BOUNDS.to_vec()),
            params_max_tokens: tokens(),
            first_token: Histogram::new(FIRST_TOKEN_BOUNDS.to_vec()),
            token_gap: gap(),
            time_per_token: gap(),
            latency: phase(),
            queue: phase(),
            inference: phase(),
            prefill: phase(),
            decode: phase(),
            preemptions: Histogram::new(PREEMPTION_BOUNDS.to_vec()),
            prefill_computed: tokens(),
        }
    }

    /// Counts one token of a request, `gap` being the time since the one before, and gives what
    /// it adds to the tokens of its step: a first one stands for its computed prompt as well.
    pub(crate) fn token(&mut self, request: &Timeline, at: Nanos, gap: Option<Nanos>) -> u64 {
        if let Some(gap) = gap {
            self.token_gap.observe(gap.as_secs_f64());
            return 1;
        }
        self.first_token.observe(at.since(request.arrived).as_secs_f64());
        u64::from(request.prompt_tokens - request.cached_tokens) + 1
    }

    /// Counts the tokens of a step, if it yielded any: a step that computes but the beginning of a
    /// prompt counts with the one that ends it.
    pub(crate) fn step(&mut self, tokens: u64) {
        if tokens > 0 {
            self.step_tokens.observe(tokens as f64);
        }
    }

    /// Counts a request that ended. An aborted one is counted nowhere, as in vLLM.
    pub(crate) fn finished(&mut self, request: &Timeline, reason: FinishReason) {
        let (Some(first), Some(last)) = (request.first_token, request.last_token) else { return };
        if reason == FinishReason::Abort {
            return;
        }
        self.prompt_tokens.observe(f64::from(request.prompt_tokens));
        self.generation_tokens.observe(f64::from(request.output_tokens));
        self.max_generation_tokens.observe(f64::from(request.output_tokens));
        self.params_n.observe(1.0);
        self.params_max_tokens.observe(f64::from(request.max_tokens));
        self.time_per_token.observe(request.mean_gap_secs().unwrap_or(0.0));
        self.latency.observe(last.since(request.arrived).as_secs_f64());
        self.queue.observe(request.admitted.since(request.arrived).as_secs_f64());
        self.inference.observe(last.since(request.admitted).as_secs_f64());
        self.prefill.observe(first.since(request.admitted).as_secs_f64());
        self.decode.observe(last.since(first).as_secs_f64());
        self.preemptions.observe(f64::from(request.preemptions));
        self.prefill_computed.observe(f64::from(request.prompt_tokens - request.cached_tokens));
    }
}

/// What `/metrics` shows, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) options: EngineOptions,
    pub(crate) stats: EngineStats,
    /// Nearest first.
    pub(crate) tiers: Vec<TierStats>,
    pub(crate) telemetry: Telemetry,
}

impl Snapshot {
    /// As a server shows it that reports `factor` times what was cached, found or moved.
    pub(crate) fn with_cached_factor(mut self, factor: f64) -> Self {
        let stats = &mut self.stats;
        for figure in [
            &mut stats.prefix_cache_hits,
            &mut stats.external_prefix_cache_hits,
            &mut stats.prompt_tokens_cached,
        ]
        .into_iter()
        .chain(&mut stats.prompt_tokens_by_tier)
        {
            *figure = scaled(*figure, factor);
        }
        for tier in &mut self.tiers {
            for figure in [&mut tier.hit_blocks, &mut tier.loads.bytes, &mut tier.stores.bytes] {
                *figure = scaled(*figure, factor);
            }
        }
        self
    }
}

/// `figure` times `factor`, rounded down.
pub(crate) fn scaled(figure: u64, factor: f64) -> u64 {
    if factor == 1.0 { figure } else { (figure as f64 * factor) as u64 }
}

#[cfg(test)]
mod tests {
    use super::{Telemetry, Timeline};
    use crate::engine::FinishReason;
    use turnbench_model::Nanos;

    fn request() -> Timeline {
        let arrived = Nanos::from_millis(10);
        let admitted = Nanos::from_millis(14);
        Timeline { arrived, admitted, prompt_tokens: 8, cached_tokens: 4, ..Timeline::default() }
    }

    #[test]
    fn tokens_are_timed_from_arrival_and_from_each_other() {
        let mut telemetry = Telemetry::new(100);
        let mut request = request();
        for at in [30, 40, 60] {
            let at = Nanos::from_millis(at);
            let gap = request.token(at);
            let tokens = telemetry.token(&request, at, gap);
            telemetry.step(tokens);
        }
        telemetry.step(0);
        telemetry.finished(&request, FinishReason::Length);
        // 4 prompt tokens computed, 3 made.
        assert_eq!((telemetry.step_tokens.count(), telemetry.step_tokens.sum()), (3, 7.0));
        let sums = [&telemetry.first_token, &telemetry.token_gap, &telemetry.time_per_token]
            .map(|histogram| (histogram.count(), (histogram.sum() * 1e6).round()));
        assert_eq!(sums, [(1, 20_000.0), (2, 30_000.0), (1, 15_000.0)]);
        assert_eq!(telemetry.prefill_computed.sum(), 4.0);
        assert_eq!((telemetry.latency.sum() * 1e6).round(), 50_000.0);
    }

    #[test]
    fn an_aborted_request_counts_in_no_request_histogram() {
        let mut telemetry = Telemetry::new(100);
        let mut request = request();
        let _ = request.token(Nanos::from_millis(30));
        telemetry.finished(&request, FinishReason::Abort);
        assert_eq!(telemetry.latency.count(), 0);
    }
}
