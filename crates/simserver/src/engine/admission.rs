use turnbench_model::Nanos;

use super::scheduler::{Engine, Step};
use super::sequence::{Cached, Loading, Sequence};
use super::{EngineEvent, TIERS_MAX};

/// How requests get into the batch: from the queue, or from the queue by way of a tier.
impl Engine {
    /// Lets the tiers' transfers go on up to `at`. A request whose last load has ended has its blocks
    /// on the device from then on.
    pub(super) fn settle_tiers(&mut self, at: Nanos) {
        let Self { tiers, loading, cache, .. } = self;
        tiers.settle(at, |id, ended| {
            let Some(sequence) = loading.iter_mut().find(|sequence| sequence.id == id) else {
                return;
            };
            let load = &mut sequence.loading;
            load.load_ns = load.load_ns.max(ended.since(load.started));
            load.pending_count -= 1;
            if load.pending_count == 0 {
                sequence.computed = u64::from(load.cached.tokens);
                let named = cache.grow(&mut sequence.table, sequence.computed);
                debug_assert!(named, "its blocks were reserved");
            }
        });
    }

    /// Lets requests run whose loads have ended: they hold all blocks that their prompts need.
    pub(super) fn start_loaded(&mut self, step: &mut Step, events: &mut Vec<EngineEvent>) {
        let mut place = 0;
        while step.budget > 0 && self.has_place() && place < self.loading.len() {
            let sequence = &self.loading[place];
            if sequence.loading.pending_count > 0 {
                place += 1;
                continue;
            }
            if !self.options.chunked_prefill && sequence.missing() > step.budget {
                break;
            }
            let sequence = self.loading.remove(place);
            self.start(sequence, step, events);
        }
    }

    /// First come, first served: nothing overtakes a request that does not fit.
    pub(super) fn admit_waiting(&mut self, step: &mut Step, events: &mut Vec<EngineEvent>) {
        while step.budget > 0 && self.has_place() {
            let Self { cache, tiers, waiting, options, .. } = self;
            let Some(sequence) = waiting.front_mut().filter(|head| head.submitted <= step.at)
            else {
                break;
            };
            let looks_up = !sequence.skip_prefix_lookup;
            let hits = if looks_up { cache.hit_blocks(&sequence.table) } else { 0 };
            let findable = if looks_up && !tiers.is_empty() {
                cache.findable_blocks(&sequence.table)
            } else {
                hits
            };
            let blocks = sequence.table.hashes().get(..findable).unwrap_or_default();
            let found = tiers.find(&blocks[hits..]);
            let loads = found.block_count() > 0;
            let device_tokens = hits as u64 * u64::from(options.block_size);
            // A load takes nothing of a step.
            let missing = if loads { 0 } else { sequence.table.token_count() - device_tokens };
            if (!options.chunked_prefill && missing > step.budget)
                || !cache.admit(&mut sequence.table, hits)
            {
                break;
            }
            let Some(mut sequence) = waiting.pop_front() else { break };
            let tier_tokens = found.tokens(options.block_size);
            let tokens = device_tokens as u32 + tier_tokens.iter().sum::<u32>();
            sequence.computed = device_tokens;
            sequence.loading = Loading {
                started: step.at,
                pending_count: 0,
                cached: Cached { tokens, tier_tokens },
                load_ns: Nanos::ZERO,
            };
            if !tiers.is_empty() {
                let blocks = &sequence.table.hashes()[..findable];
                sequence.loading.pending_count =
                    tiers.admit(step.at, sequence.id, blocks, findable - hits, found);
            }
            if loads {
                let reserved = cache.reserve(&mut sequence.table);
                debug_assert!(reserved, "admission checked that the whole prompt fits");
                self.loading.push(sequence);
            } else {
                self.start(sequence, step, events);
            }
        }
    }

    fn has_place(&self) -> bool {
        self.running.len() < self.options.max_num_seqs as usize
    }

    /// Makes a request part of the step. All that it need not compute is on the device.
    fn start(&mut self, mut sequence: Sequence, step: &mut Step, events: &mut Vec<EngineEvent>) {
        let tokens = sequence.missing().min(step.budget);
        let grown = self.cache.grow(&mut sequence.table, sequence.computed + tokens);
        debug_assert!(grown, "admission checked that the whole prompt fits");
        sequence.computed += tokens;
        sequence.scheduled = tokens;
        step.add(&sequence);
        let (id, at) = (sequence.id, step.at);
        let Loading { cached, load_ns, .. } = sequence.loading;
        let Cached { tokens: cached_tokens, tier_tokens } = cached;
        if sequence.cached.is_some() {
            events.push(EngineEvent::Resumed { id, at, cached_tokens });
        } else {
            sequence.cached = Some(cached);
            if self.options.prefix_caching && !sequence.skip_prefix_lookup {
                self.count_lookup(sequence.prompt_tokens, cached_tokens, tier_tokens);
            }
            let queue_ns = at.since(sequence.submitted);
            let admitted =
                EngineEvent::Admitted { id, at, cached_tokens, tier_tokens, queue_ns, load_ns };
            events.push(admitted);
        }
        self.running.push(sequence);
    }

    fn count_lookup(&mut self, prompt: u32, cached: u32, tier_tokens: [u32; TIERS_MAX]) {
        let loaded = tier_tokens.iter().sum::<u32>();
        let counters = &mut self.counters;
        counters.prefix_cache_queries += u64::from(prompt);
        counters.prefix_cache_hits += u64::from(cached - loaded);
        if !self.tiers.is_empty() {
            // vLLM asks the connector for what it did not find itself.
            counters.external_prefix_cache_queries += u64::from(prompt - (cached - loaded));
            counters.external_prefix_cache_hits += u64::from(loaded);
        }
    }
}
