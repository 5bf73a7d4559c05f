use std::collections::{BTreeSet, VecDeque};

use turnbench_kvcache::{KvCache, KvCacheOptions, KvEvent};
use turnbench_model::Nanos;

use super::sequence::{Loading, Sequence};
use super::tiers::Tiers;
use super::{
    EngineError, EngineEvent, EngineOptions, EngineRequest, EngineStats, FinishReason, RequestId,
    TIERS_MAX, TierStats,
};

/// The engine; see the module's page.
///
/// **Invariant:** time never runs backwards: a call with an earlier time than a previous one counts
/// as made at that previous time.
///
/// **Invariant:** while a step is in progress nothing changes; submissions and aborts take effect
/// at its end.
///
/// **Invariant:** between steps every running request has a known token that is not computed yet,
/// so a step with a running request computes something, and ends.
///
/// **Invariant:** some request always gets on: `max_model_len` fits into the cache, so the oldest
/// running request waits for a block only while others load theirs; and those hold all the blocks
/// that their prompts need from the beginning of their loads on.
pub struct Engine {
    pub(super) options: EngineOptions,
    pub(super) cache: KvCache,
    pub(super) tiers: Tiers,
    /// In the order of admission: the last one is preempted first.
    pub(super) running: Vec<Sequence>,
    /// Wait for blocks from tiers, or have them and wait for a place; in the order of admission.
    pub(super) loading: Vec<Sequence>,
    pub(super) waiting: VecDeque<Sequence>,
    /// The head of the queue, if it could not be admitted and nothing runs: it waits for the end of a
    /// load.
    blocked: Option<RequestId>,
    /// In the order of the calls, hence of time.
    aborts: VecDeque<(Nanos, RequestId)>,
    /// End of the step in progress.
    step_end: Option<Nanos>,
    now: Nanos,
    next_id: u64,
    pub(super) counters: EngineStats,
}

/// A step that is being put together.
pub(super) struct Step {
    /// Its start.
    pub(super) at: Nanos,
    /// Tokens that it can still take.
    pub(super) budget: u64,
    prefill_tokens: u64,
    decoding: u64,
}

impl Step {
    const fn is_empty(&self) -> bool {
        self.prefill_tokens == 0 && self.decoding == 0
    }

    /// Takes in the scheduled tokens of a sequence.
    pub(super) fn add(&mut self, sequence: &Sequence) {
        self.budget -= sequence.scheduled;
        if sequence.decoding {
            self.decoding += 1;
        } else {
            self.prefill_tokens += sequence.scheduled;
        }
    }

    /// At least 1 ns, so that no two steps end at the same time.
    fn cost(&self, options: &EngineOptions) -> Nanos {
        let prefill = self.prefill_tokens as f64 * 1e9 / options.prefill_tokens_per_sec;
        let decode = if self.decoding > 0 { options.decode_ns } else { 0 };
        let per_seq = options.decode_ns_per_seq.saturating_mul(self.decoding);
        let total = (prefill.round() as u64).saturating_add(decode).saturating_add(per_seq);
        Nanos(total.max(1))
    }
}

impl Engine {
    /// An idle engine at time 0 with an empty cache.
    ///
    /// # Errors
    /// As [`EngineOptions::validate`].
    pub fn new(options: EngineOptions) -> Result<Self, EngineError> {
        options.validate()?;
        let mut cache = KvCache::new(KvCacheOptions {
            block_size: options.block_size,
            block_count: options.kv_blocks,
            prefix_caching: options.prefix_caching,
        });
        if options.record_kv_events {
            cache.record_events();
        }
        Ok(Self {
            tiers: Tiers::new(&options),
            options,
            cache,
            running: Vec::new(),
            loading: Vec::new(),
            waiting: VecDeque::new(),
            blocked: None,
            aborts: VecDeque::new(),
            step_end: None,
            now: Nanos::ZERO,
            next_id: 0,
            counters: EngineStats::default(),
        })
    }

    /// The options it was made with.
    pub const fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Puts a request that arrives at `now` at the end of the queue. It can be part of the next step
    /// that starts at or after `now`; the queue has no bound of its own.
    ///
    /// # Errors
    /// When the request can never run: no prompt, no output allowed, or no room for one answer token.
    pub fn submit(&mut self, request: EngineRequest, now: Nanos) -> Result<RequestId, EngineError> {
        let max_model_len = self.options.max_model_len;
        let prompt_tokens = request.prompt.len() as u64;
        if prompt_tokens == 0 {
            return Err(EngineError::EmptyPrompt);
        }
        if request.max_tokens == 0 {
            return Err(EngineError::NoOutput);
        }
        let room = u64::from(max_model_len).saturating_sub(prompt_tokens);
        if room == 0 {
            return Err(EngineError::PromptTooLong { prompt_tokens, max_model_len });
        }
        let now = self.clamp(now);
        let id = RequestId(self.next_id);
        self.next_id += 1;
        let max_tokens = request.max_tokens.min(room as u32);
        let sequence = Sequence::new(id, request, max_tokens, &self.cache, now);
        self.waiting.push_back(sequence);
        Ok(id)
    }

    /// Ends a request early, at the first step boundary at or after `now`; the token of a step in
    /// progress is lost. Nothing happens if the request has ended by then.
    pub fn abort(&mut self, id: RequestId, now: Nanos) {
        let now = self.clamp(now);
        self.aborts.push_back((now, id));
    }

    /// When [`Self::advance`] will next have something to do: the end of the step in progress, the
    /// start of the first one, or a load's progress while there is none; `None` while idle. It may lie
    /// in the past. Stores need nobody to wake up for them.
    pub fn next_event_at(&self) -> Option<Nanos> {
        self.step_end.or_else(|| {
            let head = self.waiting.front().filter(|head| Some(head.id) != self.blocked);
            let arrival = head.map(|sequence| sequence.submitted);
            let abort = self.aborts.front().map(|(at, _)| *at);
            [arrival, abort, self.tiers.next_load_at()].into_iter().flatten().min()
        })
    }

    /// Does every step that ends at or before `now`, and starts the next one. Events are appended to
    /// `events` in the order of their times. Requests that arrive at `now` itself are best
    /// submitted first.
    pub fn advance(&mut self, now: Nanos, events: &mut Vec<EngineEvent>) {
        while let Some(at) = self.next_event_at().filter(|at| *at <= now) {
            self.boundary(at, events);
        }
        self.clamp(now);
    }

    /// Gauges and counters.
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            running: self.running.len() as u32,
            waiting: (self.waiting.len() + self.loading.len()) as u32,
            loading: self.loading.len() as u32,
            kv_usage_ratio: self.cache.pool().usage_ratio(),
            ..self.counters
        }
    }

    /// Gauges and counters of the tiers, nearest first, as of `now`; but a load that ends within a step
    /// shows at the step's end, when its request learns of it.
    pub fn tier_stats(&self, now: Nanos) -> Vec<TierStats> {
        self.tiers.stats_at(now)
    }

    /// Forgets everything cached on the device, if no request holds a block; says whether it did.
    /// Requests that wait do not matter, and tiers keep what they have, as in vLLM.
    pub fn reset_prefix_cache(&mut self) -> bool {
        self.cache.reset()
    }

    /// Moves the cache events since the last call to the end of `events`; nothing unless
    /// [`EngineOptions::record_kv_events`].
    pub fn drain_kv_events(&mut self, events: &mut Vec<KvEvent>) {
        self.cache.drain_events(events);
    }

    fn clamp(&mut self, now: Nanos) -> Nanos {
        self.now = self.now.max(now);
        self.now
    }

    /// The end of a step and the start of the next.
    fn boundary(&mut self, at: Nanos, events: &mut Vec<EngineEvent>) {
        self.settle_tiers(at);
        self.drop_aborted(at, events);
        if self.step_end.take().is_some() {
            self.counters.steps += 1;
            self.finish_step(at, events);
        }
        let step = self.schedule(at, events);
        self.blocked = None;
        if step.is_empty() {
            let head = self.waiting.front().filter(|head| head.submitted <= at);
            self.blocked = head.map(|head| head.id);
        } else {
            self.step_end = Some(at + step.cost(&self.options));
        }
    }

    fn drop_aborted(&mut self, at: Nanos, events: &mut Vec<EngineEvent>) {
        let due = self.aborts.iter().take_while(|(when, _)| *when <= at).count();
        if due == 0 {
            return;
        }
        let ids: BTreeSet<RequestId> = self.aborts.drain(..due).map(|(_, id)| id).collect();
        let Self { cache, tiers, running, loading, waiting, counters, .. } = self;
        loading.iter().filter(|it| ids.contains(&it.id)).for_each(|it| tiers.cancel(at, it.id));
        let mut keep = |sequence: &mut Sequence| {
            let aborted = ids.contains(&sequence.id);
            if aborted {
                counters.aborted += 1;
                cache.release(&mut sequence.table);
                events.push(finished(sequence, at, FinishReason::Abort));
            }
            !aborted
        };
        running.retain_mut(&mut keep);
        loading.retain_mut(&mut keep);
        waiting.retain_mut(&mut keep);
    }

    /// Lets the tokens of the step in progress appear.
    fn finish_step(&mut self, at: Nanos, events: &mut Vec<EngineEvent>) {
        let block_size = u64::from(self.options.block_size);
        let Self { cache, tiers, running, counters, .. } = self;
        running.retain_mut(|sequence| {
            if std::mem::take(&mut sequence.scheduled) == 0 {
                return true;
            }
            if !tiers.is_empty() {
                let full_count = (sequence.computed / block_size) as usize;
                let full = sequence.table.hashes().get(..full_count).unwrap_or_default();
                tiers.offer(at, full, &mut sequence.offered);
            }
            if sequence.missing() > 0 {
                return true;
            }
            let index = sequence.output_tokens;
            let generated = sequence.answer.next(index);
            if index == 0 {
                counters.prompt_tokens += u64::from(sequence.prompt_tokens);
                let cached = sequence.cached.unwrap_or_default();
                counters.prompt_tokens_cached += u64::from(cached.tokens);
                for (sum, tokens) in
                    counters.prompt_tokens_by_tier.iter_mut().zip(cached.tier_tokens)
                {
                    *sum += u64::from(tokens);
                }
            }
            sequence.output_tokens += 1;
            sequence.decoding = true;
            counters.generation_tokens += 1;
            let (id, token) = (sequence.id, generated.token);
            events.push(EngineEvent::Token { id, at, token, index });
            let reason = if generated.stop {
                counters.success_stop += 1;
                FinishReason::Stop
            } else if sequence.output_tokens >= sequence.max_tokens {
                counters.success_length += 1;
                FinishReason::Length
            } else {
                sequence.table.push(token);
                return true;
            };
            cache.release(&mut sequence.table);
            events.push(finished(sequence, at, reason));
            false
        });
    }

    fn schedule(&mut self, at: Nanos, events: &mut Vec<EngineEvent>) -> Step {
        let budget = u64::from(self.options.max_num_batched_tokens);
        let mut step = Step { at, budget, prefill_tokens: 0, decoding: 0 };
        let mut preempted = false;
        let mut place = 0;
        while place < self.running.len() && step.budget > 0 {
            let Self { running, cache, .. } = self;
            let sequence = &mut running[place];
            let tokens = sequence.missing().min(step.budget);
            debug_assert!(tokens > 0, "{:?} has nothing to compute", sequence.id);
            if cache.grow(&mut sequence.table, sequence.computed + tokens) {
                sequence.computed += tokens;
                sequence.scheduled = tokens;
                step.add(sequence);
                place += 1;
            } else {
                preempted = true;
                self.preempt_last(at, events);
            }
        }
        self.start_loaded(&mut step, events);
        // vLLM admits nothing in a step in which it preempted.
        if !preempted {
            self.admit_waiting(&mut step, events);
        }
        step
    }

    fn preempt_last(&mut self, at: Nanos, events: &mut Vec<EngineEvent>) {
        let Some(mut sequence) = self.running.pop() else { return };
        self.cache.release(&mut sequence.table);
        sequence.computed = 0;
        sequence.decoding = false;
        sequence.loading = Loading::default();
        sequence.offered = [0; TIERS_MAX];
        self.counters.preemptions += 1;
        events.push(EngineEvent::Preempted { id: sequence.id, at });
        self.waiting.push_front(sequence);
    }
}

fn finished(sequence: &Sequence, at: Nanos, reason: FinishReason) -> EngineEvent {
    EngineEvent::Finished {
        id: sequence.id,
        at,
        reason,
        prompt_tokens: sequence.prompt_tokens,
        cached_tokens: sequence.cached_tokens(),
        output_tokens: sequence.output_tokens,
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Engine")
            .field("options", &self.options)
            .field("now", &self.now)
            .field("step_end", &self.step_end)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
