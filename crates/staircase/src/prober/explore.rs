use turnbench_metrics::ProbingEnd;
use turnbench_model::Nanos;

use super::measure::Measure;
use super::{PAUSE_FACTOR, Phase, Planned, Prober};
use crate::recency::Place;
use crate::visit::Purpose;

/// Prompts that the first step writes.
const FIRST_PROMPTS: u64 = 8;
/// By how much each step is longer than the one before.
const STEP_FACTOR: f64 = 1.5;
/// Distances that are looked at are apart by at least this factor.
const GRID_FACTOR: f64 = 1.05;
/// The end is the end once prompts this factor farther back were computed anew as well.
const BEYOND_FACTOR: f64 = 1.2;
/// Prompts that must have been, at least.
const BEYOND_PROMPTS: usize = 4;
/// What looking at old prompts takes, by the time of writing as many.
const LOOKING_RATIO: f64 = 0.5;

impl Prober {
    pub(super) fn start_exploring(&mut self) {
        self.round = 1;
        self.since = 1;
        self.round_tokens = 0;
        let target = FIRST_PROMPTS * u64::from(self.tokens);
        self.phase = Phase::Explore { known: 0, target, is_written: false };
    }

    pub(super) fn explore(&mut self, now: Nanos, known: u64, target: u64, is_written: bool) {
        if is_written {
            let next = (target as f64 * STEP_FACTOR) as u64;
            if self.is_end_clear() || !self.has_time_for(now, target, next) {
                self.start_measuring(now);
                return;
            }
            self.phase = Phase::Explore { known: target, target: next, is_written: false };
            return;
        }
        if self.round_tokens < target {
            self.write_up_to(target);
            return;
        }
        self.rest_after(self.writing_time(target - known, self.pause_ratio));
        for place in self.grid(known, target) {
            let revisit = Planned::Again { prompt: place.prompt, purpose: Purpose::Revisit };
            self.queue.push_back(revisit);
        }
        self.phase = Phase::Explore { known, target, is_written: true };
    }

    fn write_up_to(&mut self, target: u64) {
        let tokens = self.tokens;
        let count = (target - self.round_tokens).div_ceil(u64::from(tokens.max(1)));
        for _ in 0..count {
            self.queue.push_back(Planned::Fresh { tokens, purpose: Purpose::Fresh });
        }
    }

    /// Prompts between two distances, about [`GRID_FACTOR`] apart, the most recent first.
    fn grid(&self, known: u64, target: u64) -> Vec<Place> {
        let mut chosen: Vec<Place> = Vec::new();
        for place in self.recency.places() {
            let newer = place.newer_tokens as f64;
            let is_far =
                chosen.last().is_none_or(|last| newer >= last.newer_tokens as f64 * GRID_FACTOR);
            let is_between = place.newer_tokens >= known.max(1) && place.newer_tokens <= target;
            if is_between && is_far && self.is_plain(&place) {
                chosen.push(place);
            }
        }
        chosen
    }

    /// Whether prompts well beyond the farthest end were computed anew.
    fn is_end_clear(&self) -> bool {
        let Some(findings) = self.findings() else { return false };
        let Some(end) = findings.end() else { return false };
        let beyond = findings.points.iter().filter(|point| point.newer >= end.high);
        let farthest = findings.points.last().map_or(0.0, |point| point.newer);
        beyond.count() >= BEYOND_PROMPTS && farthest >= BEYOND_FACTOR * end.tokens
    }

    /// Whether the next step, and measuring again after it, fit into what is left of the budget.
    fn has_time_for(&self, now: Nanos, target: u64, next: u64) -> bool {
        let step = self.writing_time(next - target, self.pause_ratio + LOOKING_RATIO);
        let measuring = self.writing_time(next, self.pause_ratio * PAUSE_FACTOR + LOOKING_RATIO);
        now + step + measuring < self.deadline()
    }

    /// Goes on exploring after `known` tokens, at the pace of the round that has just been measured.
    pub(super) fn explore_on(&mut self, known: u64) {
        self.since = self.round;
        self.slow_stores = Some(self.pause_ratio);
        let target = (known as f64 * STEP_FACTOR) as u64;
        self.phase = Phase::Explore { known, target, is_written: false };
    }

    fn start_measuring(&mut self, now: Nanos) {
        match Measure::planned(self, now) {
            Some(measure) => {
                self.round += 1;
                self.round_tokens = 0;
                self.pause_ratio *= PAUSE_FACTOR;
                self.phase = Phase::Measure(Box::new(measure));
            }
            None => self.end = Some(ProbingEnd::Complete),
        }
    }
}
