use std::collections::VecDeque;

use turnbench_metrics::CannotTell;

use super::{Phase, Planned, Prober};
use crate::line::median;
use crate::scale::Scale;
use crate::visit::{Purpose, Visit};

/// Lengths of the first prompts, in tokens; the first ones also pay for what a server does only once.
const WARM_UP: [u32; 4] = [64, 512, 64, 256];
/// Length of prompts where nothing else says one.
const TOKENS_DEFAULT: u32 = 512;
/// Shortest and longest length that is chosen.
const TOKENS_RANGE: (u32, u32) = (64, 16_384);
/// Of a known cache's capacity a prompt is this part.
const OF_CAPACITY: u64 = 32;
/// The longest prompts are so many times as long.
const LONGEST_FACTOR: u32 = 4;
/// Prompts of each length.
const REPEATS: usize = 3;
/// The time of computing a prompt must be so many times the noise.
const SIGNAL_MIN: f64 = 10.0;
/// A prompt sent again must take less than this part of the first time.
const FASTER_RATIO: f64 = 0.75;
/// From this share on a prompt counts as reported as cached.
const CACHED_SHARE: f64 = 0.5;

pub(super) fn warm_up() -> VecDeque<Planned> {
    WARM_UP.iter().map(|&tokens| Planned::Fresh { tokens, purpose: Purpose::WarmUp }).collect()
}

impl Prober {
    pub(super) fn start_calibrating(&mut self) {
        if self.tokens == 0 {
            let chosen = self.options.capacity_tokens.map_or(TOKENS_DEFAULT, |capacity| {
                u32::try_from(capacity / OF_CAPACITY).unwrap_or(u32::MAX)
            });
            let chosen = self.options.prompt_tokens.unwrap_or(chosen);
            self.tokens = chosen.clamp(TOKENS_RANGE.0, TOKENS_RANGE.1).min(self.tokens_max());
        }
        let n = self.tokens;
        let longest = self.options.max_prompt_tokens.map_or(u32::MAX, |most| most - most / 16);
        let lengths = [n / 2, n, 2 * n, LONGEST_FACTOR * n].into_iter();
        self.lengths = lengths.filter(|tokens| *tokens <= longest).collect();
        for _ in 0..REPEATS {
            for at in 0..self.lengths.len() {
                let tokens = self.lengths[at];
                self.queue.push_back(Planned::Fresh { tokens, purpose: Purpose::Fresh });
                let prompt = self.made.len() as u32 + self.fresh_in_queue() - 1;
                self.queue.push_back(Planned::Again { prompt, purpose: Purpose::Again });
            }
        }
        self.phase = Phase::Calibrate;
    }

    /// The most that a prompt may be long, so that longer ones still fit.
    fn tokens_max(&self) -> u32 {
        let of_cache = self.options.capacity_tokens.map_or(u64::MAX, |capacity| capacity / 8);
        let of_model = self.options.max_prompt_tokens.map_or(u32::MAX, |most| most / 5);
        u32::try_from(of_cache).unwrap_or(u32::MAX).min(of_model).max(TOKENS_RANGE.0)
    }

    fn fresh_in_queue(&self) -> u32 {
        self.queue.iter().filter(|it| matches!(it, Planned::Fresh { .. })).count() as u32
    }

    /// The server refused a prompt: if a length beyond the plain one is planned, it is not used.
    pub(super) fn drop_longest(&mut self) -> bool {
        let is_calibrating = matches!(self.phase, Phase::Calibrate);
        let Some(longest) = self.lengths.last().copied().filter(|it| *it > self.tokens) else {
            return false;
        };
        if !is_calibrating {
            return false;
        }
        self.options.max_prompt_tokens = Some(longest - 1);
        // Numbers of prompts have been given out by their places: the lengths begin anew.
        self.queue.clear();
        self.start_calibrating();
        true
    }

    pub(super) fn end_calibrating(&mut self) {
        let is_hit = |visit: &Visit| visit.purpose == Purpose::Again;
        let tokens = f64::from(self.tokens);
        let Some(scale) = Scale::of(&self.visits, is_hit, tokens, self.block_tokens()) else {
            self.cannot_tell(CannotTell::ComputesTooFast);
            return;
        };
        let is_reported = scale.full_share.is_some_and(|share| share > CACHED_SHARE);
        let ratio = self.again_ratio();
        let saved = scale.cold_ms() - scale.hit_ms();
        let is_clear = saved >= SIGNAL_MIN * scale.noise_ms && ratio < FASTER_RATIO;
        if is_clear {
            self.ms_per_token = scale.cold_ms() / scale.tokens;
            self.start_exploring();
            return;
        }
        let computing = scale.cold.slope.value * scale.tokens;
        if computing >= SIGNAL_MIN * scale.noise_ms && !is_reported {
            self.cannot_tell(CannotTell::NoPrefixCaching);
            return;
        }
        let longer = self.tokens.saturating_mul(2).min(self.tokens_max());
        if longer > self.tokens && self.options.prompt_tokens.is_none() {
            self.tokens = longer;
            self.start_calibrating();
        } else {
            self.cannot_tell(CannotTell::ComputesTooFast);
        }
    }

    /// Time of a prompt sent again by that of its first sending: the median over the longest prompts.
    fn again_ratio(&self) -> f64 {
        let longest = self.lengths.last().copied().unwrap_or(self.tokens);
        let is_long = |visit: &&Visit| visit.tokens() >= 0.8 * f64::from(longest);
        let again = self.visits.iter().filter(|it| it.purpose == Purpose::Again).filter(is_long);
        let ratios = again.filter_map(|again| {
            let first = self.visits.iter().find(|visit| visit.prompt == again.prompt)?;
            Some(again.ttft_ms() / first.ttft_ms().max(f64::MIN_POSITIVE))
        });
        median(ratios.collect()).unwrap_or(1.0)
    }
}
