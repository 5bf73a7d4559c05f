use std::ops::Range;

use turnbench_metrics::ProbingEnd;
use turnbench_model::Nanos;

use super::{PAUSE_FACTOR, Phase, Planned, Prober};
use crate::findings::Findings;
use crate::recency::Place;
use crate::visit::Purpose;

/// How far beyond the farthest end prompts are written.
const BEYOND_FACTOR: f64 = 1.15;
/// How far into a level without an end.
const INTO_FACTOR: f64 = 1.3;
/// Prompts of each length that are looked at in a level.
const PROMPTS_PER_LENGTH: usize = 6;
/// Prompts of the greatest length that must fit into a level.
const PROMPTS_IN_WIDTH: f64 = 5.0;
/// Prompts that are looked at beyond the last end.
const BEYOND_PROMPTS: usize = 5;
/// Most prompts that an end is narrowed down with.
const BISECTION_STEPS: usize = 12;
/// Where prompts are looked at when it is, in lengths of a prompt from the end.
const CONFIRMED: [f64; 5] = [-2.5, 1.5, -1.5, 0.5, -0.5];
/// What reached this much farther than before had not been stored in time then.
const GROWTH_FACTOR: f64 = 1.05;
/// Rounds of measuring at most.
const ROUNDS_MAX: u32 = 4;
/// Share of the time left that writing may take.
const TIME_SHARE: f64 = 0.7;

/// Measuring again what exploring has found.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    /// What exploring found.
    findings: Findings,
    /// Tokens to write.
    target: u64,
    /// Lengths of prompts, ascending.
    lengths: Vec<u32>,
    stages: Vec<Stage>,
    is_written: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Prompts of all lengths well within a level.
    Level(usize),
    /// The end of a level, by bisection.
    Knee(Bracket),
    /// What lies beyond the last end.
    Beyond { end: f64 },
}

/// Where the end of a level is looked for.
#[derive(Clone, Copy, Debug)]
struct Bracket {
    level: usize,
    /// Tokens of newer prompts: one at this distance was found,
    low: f64,
    /// and one at this was not.
    high: f64,
    step: usize,
    /// Whether the last prompt sent was asked for here.
    is_asked: bool,
}

impl Measure {
    /// Tokens to write.
    pub(super) const fn target(&self) -> u64 {
        self.target
    }

    /// A plan; `None` where there is nothing to measure, or no time.
    pub(super) fn planned(prober: &Prober, now: Nanos) -> Option<Self> {
        let findings = prober.findings()?;
        let last = findings.levels.iter().rev().find_map(|level| level.knee)?;
        let factor = if findings.end_found { BEYOND_FACTOR } else { INTO_FACTOR };
        let lengths = lengths(prober, &findings);
        let spare = 4.0 * f64::from(lengths.last().copied()?);
        let wanted = (last.high * factor + spare) as u64;
        let pause = prober.pause_ratio * PAUSE_FACTOR;
        let left = prober.deadline().since(now).as_secs_f64() * TIME_SHARE;
        let whole = prober.writing_time(wanted, pause).as_secs_f64();
        let target = (wanted as f64 * (left / whole.max(1e-9)).min(1.0)) as u64;
        let first = findings.levels.first()?.knee?;
        if (target as f64) < first.high + spare {
            return None;
        }
        let mut stages = Vec::new();
        for (at, level) in findings.levels.iter().enumerate() {
            stages.push(Stage::Level(at));
            if let Some(knee) = level.knee {
                let (low, high) = (knee.low, knee.high);
                let bracket = Bracket { level: at, low, high, step: 0, is_asked: false };
                stages.push(Stage::Knee(bracket));
            }
        }
        if let Some(end) = findings.end() {
            stages.push(Stage::Beyond { end: end.tokens });
        }
        stages.reverse();
        Some(Self { findings, target, lengths, stages, is_written: false })
    }
}

/// Lengths of which some fit into the narrowest level behind the device; the plain one, its half and its
/// quarter in any case.
fn lengths(prober: &Prober, findings: &Findings) -> Vec<u32> {
    let plain = prober.tokens;
    let ends: Vec<f64> = findings.levels.iter().filter_map(|it| Some(it.knee?.tokens)).collect();
    let widths = ends.windows(2).map(|pair| pair[1] - pair[0]);
    let fitting = widths.fold(f64::INFINITY, f64::min) / PROMPTS_IN_WIDTH;
    let longer = prober.lengths.iter().copied().filter(|it| *it > plain);
    let longer = longer.filter(|it| f64::from(*it) <= fitting);
    [plain / 4, plain / 2, plain].into_iter().chain(longer).collect()
}

fn nearest_length(lengths: &[u32], tokens: u32) -> Option<usize> {
    (0..lengths.len()).min_by_key(|at| lengths[*at].abs_diff(tokens))
}

impl Prober {
    pub(super) fn measure(&mut self, now: Nanos, mut measure: Box<Measure>) {
        if self.round_tokens < measure.target {
            self.write_mixed(&measure);
            return;
        }
        if !measure.is_written {
            measure.is_written = true;
            self.rest_after(self.writing_time(measure.target, self.pause_ratio));
        }
        while self.queue.iter().all(|it| matches!(it, Planned::Rest(_))) {
            match measure.stages.pop() {
                Some(Stage::Level(level)) => self.look_into(&measure, level),
                Some(Stage::Knee(bracket)) => {
                    let next = self.look_around(&measure, bracket);
                    measure.stages.extend(next.map(Stage::Knee));
                }
                Some(Stage::Beyond { end }) => self.look_beyond(end),
                None => {
                    self.queue.clear();
                    self.end_measuring(now, &measure);
                    return;
                }
            }
        }
        self.phase = Phase::Measure(measure);
    }

    /// New prompts of all lengths, most of them of the plain one.
    fn write_mixed(&mut self, measure: &Measure) {
        let plain = self.tokens;
        let others: Vec<u32> = measure.lengths.iter().copied().filter(|it| *it != plain).collect();
        let cycle = others.into_iter().flat_map(|other| [plain, other]);
        let mut cycle: Vec<u32> = cycle.collect();
        if cycle.is_empty() {
            cycle.push(plain);
        }
        let mut left = measure.target - self.round_tokens;
        for &tokens in cycle.iter().cycle() {
            self.queue.push_back(Planned::Fresh { tokens, purpose: Purpose::Fresh });
            left = left.saturating_sub(u64::from(tokens));
            if left == 0 {
                break;
            }
        }
    }

    /// Some prompts of each length that lie well within a level, the most recent first.
    fn look_into(&mut self, measure: &Measure, level: usize) {
        let levels = &measure.findings.levels;
        let near = level.checked_sub(1).and_then(|nearer| levels[nearer].knee);
        let near = near.map_or(0.0, |knee| knee.high * 1.02 + f64::from(self.tokens) / 2.0);
        let far = levels[level].knee.map_or(f64::INFINITY, |knee| knee.low * 0.98);
        let inside: Vec<Place> = (self.written())
            .into_iter()
            .filter(|place| {
                let newer = place.newer_tokens as f64;
                newer >= near && newer + f64::from(place.tokens) <= far
            })
            .collect();
        let mut counts = vec![0; measure.lengths.len()];
        for place in inside {
            let Some(length) = nearest_length(&measure.lengths, place.tokens) else { continue };
            if counts[length] < PROMPTS_PER_LENGTH {
                counts[length] += 1;
                self.look_at(place);
            }
        }
    }

    /// Looks at the next prompt around an end; what then remains to do there.
    fn look_around(&mut self, measure: &Measure, mut knee: Bracket) -> Option<Bracket> {
        if knee.is_asked
            && let Some(visit) = self.visits.last()
        {
            let newer = visit.newer_tokens.unwrap_or_default() as f64;
            if measure.findings.share_within(knee.level, visit) > 0.5 {
                knee.low = knee.low.max(newer);
                if newer >= knee.high {
                    // Farther than it was: the other end is open.
                    knee.high = measure.target as f64;
                }
            } else {
                knee.high = knee.high.min(newer);
                if newer <= knee.low {
                    knee.low = 0.0;
                }
            }
        }
        knee.is_asked = false;
        let plain = f64::from(self.tokens);
        while !knee.is_asked {
            let (low, high) = (knee.low, knee.high);
            let middle = f64::midpoint(low, high);
            // First one beyond the bracket and one before it, to see that it still holds; in the end some
            // on both sides, so that one slow answer decides nothing.
            let place = match knee.step {
                0 => self.nearest(high * 1.04, high..high * 1.2),
                1 => self.nearest(low * 0.94, low * 0.8..low),
                2..BISECTION_STEPS => self.nearest(middle, low..high),
                step => {
                    let off = CONFIRMED.get(step - BISECTION_STEPS)?;
                    self.nearest(middle + off * plain, middle * 0.7..middle * 1.3)
                }
            };
            if place.is_none() && (2..BISECTION_STEPS).contains(&knee.step) {
                knee.step = BISECTION_STEPS;
                continue;
            }
            knee.step += 1;
            if let Some(place) = place {
                knee.is_asked = true;
                self.look_at(place);
            }
        }
        Some(knee)
    }

    /// Some prompts that are clearly beyond the last end.
    fn look_beyond(&mut self, end: f64) {
        let is_beyond = |place: &Place| {
            place.newer_tokens as f64 >= GROWTH_FACTOR * end && self.is_plain(place)
        };
        let beyond: Vec<Place> = self.written().into_iter().filter(is_beyond).collect();
        let step = beyond.len().div_ceil(BEYOND_PROMPTS).max(1);
        for place in beyond.into_iter().step_by(step) {
            self.look_at(place);
        }
    }

    /// Of the prompts between two distances the one nearest to `target`.
    fn nearest(&self, target: f64, between: Range<f64>) -> Option<Place> {
        let fits =
            |place: &Place| between.contains(&(place.newer_tokens as f64)) && self.is_plain(place);
        let off = |place: &Place| (place.newer_tokens as f64 - target).abs();
        let places = self.written().into_iter().filter(fits);
        places.min_by(|a, b| off(a).total_cmp(&off(b)))
    }

    fn look_at(&mut self, place: Place) {
        let revisit = Planned::Again { prompt: place.prompt, purpose: Purpose::Revisit };
        self.queue.push_back(revisit);
    }

    /// Prompts of this round that were not sent again, the most recent first.
    fn written(&self) -> Vec<Place> {
        let first = self.visits.iter().find(|visit| visit.round == self.round);
        let first = first.map_or(u32::MAX, |visit| visit.prompt);
        let is_new = |place: &Place| {
            place.prompt >= first && self.made[place.prompt as usize].sent_count == 1
        };
        self.recency.places().filter(is_new).collect()
    }

    fn end_measuring(&mut self, now: Nanos, measure: &Measure) {
        let grown =
            measure.findings.end().is_some_and(|end| self.is_found_beyond(measure, end.tokens));
        self.is_growing = grown;
        if !grown {
            self.is_measured = true;
            self.end = Some(ProbingEnd::Complete);
            return;
        }
        let known = self.round_tokens;
        let cost = self.writing_time(known, self.pause_ratio * (1.0 + PAUSE_FACTOR));
        if self.round >= ROUNDS_MAX || now + cost >= self.deadline() {
            self.since = self.round;
            self.slow_stores = Some(self.pause_ratio);
            self.is_measured = true;
            self.end = Some(ProbingEnd::Complete);
        } else {
            self.explore_on(known);
        }
    }

    /// Whether most of the prompts of this round beyond the end were found all the same.
    fn is_found_beyond(&self, measure: &Measure, end: f64) -> bool {
        let beyond = self.visits.iter().filter(|visit| {
            visit.round == self.round
                && visit.purpose == Purpose::Revisit
                && visit.newer_tokens.is_some_and(|newer| newer as f64 >= GROWTH_FACTOR * end)
        });
        let (lost, found): (Vec<_>, Vec<_>) = beyond.partition(|it| measure.findings.is_lost(it));
        found.len() >= 2 && found.len() > lost.len()
    }
}
