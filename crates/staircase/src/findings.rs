use std::ops::Range;

use crate::knee::{Knee, Sample, knee};
use crate::line::median;
use crate::scale::Scale;
use crate::segments::segments;
use crate::visit::{Purpose, Visit};

/// Of the times of a level.
const TIME_QUANTILE: f64 = 0.35;
/// Lengths, by the one compared to, of the prompts that the staircase is made of: longer ones are found in
/// part over a longer way, and shorter ones have less to tell.
pub(crate) const LIKE_LENGTH: std::ops::RangeInclusive<f64> = 0.8..=1.25;
/// Levels whose times differ by less than this factor are not told apart.
const FACTOR_MIN: f64 = 1.2;
/// From this share on a prompt was found in full.
const WHOLE_SHARE: f64 = 0.9;
/// Fewest prompts computed anew that make an end.
const END_POINTS_MIN: usize = 3;
/// Levels whose times differ by less than so many standard deviations of one time, on the device or within
/// either of them, are one.
const STEP_NOISES: f64 = 3.0;
/// Least width of a level, by the length of its prompts, and by the distance where it begins.
const WIDTH_MIN: f64 = 2.0;
const WIDTH_RATIO_MIN: f64 = 0.12;
/// Points around a knee, on both sides, that it is laid through.
const KNEE_FACTOR: f64 = 1.5;

/// A prompt sent again, as a point of the staircase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Its place among the visits.
    pub(crate) visit: usize,
    pub(crate) newer: f64,
    pub(crate) tokens: f64,
    /// Time to first token as for a prompt of the length compared to, in ms.
    pub(crate) alike_ms: f64,
    /// How much of it was found, where that is reported.
    pub(crate) found: Option<f64>,
}

/// A level: prompts were found in the same place.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    /// Its points.
    pub(crate) points: Range<usize>,
    /// Median time, as [`Point::alike_ms`].
    pub(crate) alike_ms: f64,
    /// Where it ends, if something follows it.
    pub(crate) knee: Option<Knee>,
}

/// What is known of the staircase.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    pub(crate) scale: Scale,
    /// Ascending by the tokens of newer prompts.
    pub(crate) points: Vec<Point>,
    /// The device, then the tiers.
    pub(crate) levels: Vec<Level>,
    /// Whether what had gone farthest back was computed anew.
    pub(crate) end_found: bool,
}

impl Findings {
    /// From the visits of rounds from `since` on; prompts sent again at once count from any round.
    pub(crate) fn of(visits: &[Visit], since: u32, tokens: f64, block_tokens: f64) -> Option<Self> {
        let is_again = |visit: &Visit| visit.purpose == Purpose::Again;
        let scale = Scale::of(visits, is_again, tokens, block_tokens)?;
        let rough = Self::with(scale, visits, since);
        let Some(device) = rough.levels.first().and_then(|level| level.knee) else {
            return Some(rough);
        };
        // Those sent again later, and still found on the device, are more, and spread over the time.
        let is_hit = |visit: &Visit| {
            let counts = visit.purpose == Purpose::Revisit && visit.round >= since;
            let end = visit.newer_tokens.map_or(f64::INFINITY, |it| it as f64 + visit.tokens());
            is_again(visit) || counts && end <= device.low
        };
        Some(Self::with(Scale::of(visits, is_hit, tokens, block_tokens)?, visits, since))
    }

    fn with(scale: Scale, visits: &[Visit], since: u32) -> Self {
        let tokens = scale.tokens;
        let mut points: Vec<Point> = (visits.iter().enumerate())
            .filter(|(_, visit)| match visit.purpose {
                Purpose::Again => true,
                Purpose::Revisit => visit.round >= since,
                Purpose::WarmUp | Purpose::Fresh => false,
            })
            .filter(|(_, visit)| LIKE_LENGTH.contains(&(visit.tokens() / tokens)))
            .filter_map(|(place, visit)| {
                Some(Point {
                    visit: place,
                    newer: visit.newer_tokens? as f64,
                    tokens: visit.tokens(),
                    alike_ms: scale.alike_ms(visit),
                    found: scale.found_share(visit),
                })
            })
            .collect();
        points.sort_by(|a, b| a.newer.total_cmp(&b.newer));
        let (mut spans, end_found) = spans(&points, &scale);
        let mut levels = levels_of(&points, &scale, &spans, end_found);
        while let Some(narrow) = narrow_level(&levels, tokens) {
            give_to_neighbours(&points, &mut spans, narrow);
            levels = levels_of(&points, &scale, &spans, end_found);
        }
        if end_found {
            levels.pop();
        }
        Self { scale, points, levels, end_found }
    }

    /// The end of the last level, where it is known.
    pub(crate) fn end(&self) -> Option<Knee> {
        self.levels.last().filter(|_| self.end_found)?.knee
    }

    /// Whether a visited prompt was computed anew.
    pub(crate) fn is_lost(&self, visit: &Visit) -> bool {
        let found = self.scale.found_share(visit);
        found.map_or_else(|| self.scale.is_like_cold(self.scale.alike_ms(visit)), |it| it < 0.5)
    }

    /// How much of a visited prompt is in the level `at` or nearer, rather than beyond; about 0 to 1.
    pub(crate) fn share_within(&self, at: usize, visit: &Visit) -> f64 {
        let is_last = self.end_found && at + 1 == self.levels.len();
        let found = self.scale.found_share(visit).filter(|_| is_last);
        found.unwrap_or_else(|| {
            let beyond = self.levels.get(at + 1).map_or(self.scale.cold_ms(), |it| it.alike_ms);
            time_share(self.levels[at].alike_ms, beyond, self.scale.alike_ms(visit))
        })
    }
}

/// The levels of spans of points, with their ends.
fn levels_of(
    points: &[Point],
    scale: &Scale,
    spans: &[Range<usize>],
    end_found: bool,
) -> Vec<Level> {
    let level = |span: &Range<usize>| Level {
        points: span.clone(),
        alike_ms: time_of(points, span),
        knee: None,
    };
    let mut levels: Vec<Level> = spans.iter().map(level).collect();
    for at in 1..levels.len() {
        let is_end = end_found && at + 1 == levels.len();
        levels[at - 1].knee = knee_between(points, scale, &levels[at - 1], &levels[at], is_end);
    }
    levels
}

/// A level between two ends that are so near to each other that prompts found in part make it up; or a first
/// one of prompts sent again at once.
fn narrow_level(levels: &[Level], tokens: f64) -> Option<usize> {
    let is_narrow = |at: &usize| {
        let before = at.checked_sub(1).map_or(Some(0.0), |it| levels[it].knee.map(|it| it.tokens));
        before.zip(levels[*at].knee).is_some_and(|(before, after)| {
            let least = (WIDTH_MIN * tokens).max(WIDTH_RATIO_MIN * before);
            after.tokens - before < least
        })
    };
    // A device and nothing behind it are two.
    (usize::from(levels.len() < 3)..levels.len()).find(is_narrow)
}

/// Time of a span's points: a low quantile, as what disturbs a time makes it longer.
fn time_of(points: &[Point], span: &Range<usize>) -> f64 {
    let mut times: Vec<f64> = points[span.clone()].iter().map(|it| it.alike_ms).collect();
    times.sort_by(f64::total_cmp);
    turnbench_metrics::quantile(&times, TIME_QUANTILE).unwrap_or(0.0)
}

/// Standard deviation of a span's times, from the median deviation.
fn spread_of(points: &[Point], span: &Range<usize>) -> f64 {
    let middle = time_of(points, span);
    let off = points[span.clone()].iter().map(|it| (it.alike_ms - middle).abs()).collect();
    1.4826 * median(off).unwrap_or(0.0)
}

/// Takes a span out of the row; its points go to the neighbour that they resemble more.
fn give_to_neighbours(points: &[Point], spans: &mut Vec<Range<usize>>, at: usize) {
    let given = spans.remove(at);
    if at == 0 {
        spans[0].start = given.start;
        return;
    }
    if at == spans.len() {
        spans[at - 1].end = given.end;
        return;
    }
    let (before, after) = (time_of(points, &spans[at - 1]), time_of(points, &spans[at]));
    let is_after = |it: &usize| {
        let ms = points[*it].alike_ms;
        (ms - before).abs() > (ms - after).abs()
    };
    let boundary = given.clone().find(is_after).unwrap_or(given.end);
    spans[at - 1].end = boundary;
    spans[at].start = boundary;
}

/// The share of a prompt at the nearer of two levels that explains its time.
fn time_share(near_ms: f64, far_ms: f64, alike_ms: f64) -> f64 {
    let span = far_ms - near_ms;
    if span.abs() < f64::EPSILON { 0.5 } else { (far_ms - alike_ms) / span }
}

/// Ranges of points that belong together; whether the last one's were computed anew.
fn spans(points: &[Point], scale: &Scale) -> (Vec<Range<usize>>, bool) {
    // On a logarithmic scale levels are as far apart as their factor; the constant keeps what scatters
    // around a very small time from looking like levels.
    let soft = (5.0 * scale.noise_ms).max(2.0 * scale.block_ms);
    let heights: Vec<f64> = points.iter().map(|point| (point.alike_ms + soft).ln()).collect();
    let noise = scatter(&heights).max(0.02);
    let cut = |range: Range<usize>| {
        let cuts = segments(&heights[range.clone()], noise);
        let cuts = cuts.into_iter().map(|cut| cut.start + range.start..cut.end + range.start);
        distinct(points, scale, cuts.collect())
    };
    if points.iter().any(|point| point.found.is_none()) {
        let spans = cut(0..points.len());
        let last = spans.last().filter(|_| spans.len() > 1).and_then(|last| {
            median(points[last.clone()].iter().map(|point| point.alike_ms).collect())
        });
        return (spans, last.is_some_and(|ms| scale.is_like_cold(ms)));
    }
    let end = first_lost(points);
    // Those found in part lie around the end.
    let whole = points[..end].iter().rposition(|it| it.found.is_some_and(|it| it >= WHOLE_SHARE));
    let mut spans = cut(0..whole.map_or(end, |last| last + 1));
    if let Some(last) = spans.last_mut() {
        last.end = end;
    }
    let end_found = points.len() - end >= END_POINTS_MIN;
    if end_found {
        spans.push(end..points.len());
    }
    (spans, end_found)
}

/// Neighbours of about the same time are one span. Narrow spans are none: prompts of which a part was found,
/// around an end, or a few slow answers; they go to the neighbour that they resemble more.
fn distinct(points: &[Point], scale: &Scale, mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let is_same = |one: &Range<usize>, other: &Range<usize>| {
        let times = (time_of(points, one), time_of(points, other));
        let (low, high) = (times.0.min(times.1), times.0.max(times.1));
        let noise = spread_of(points, one).max(spread_of(points, other)).max(scale.noise_ms);
        high < FACTOR_MIN * low || high - low < scale.block_ms.max(STEP_NOISES * noise)
    };
    let is_thin = |span: &Range<usize>| {
        let (first, last) = (&points[span.start], &points[span.end - 1]);
        let longest = points[span.clone()].iter().map(|it| it.tokens).fold(0.0, f64::max);
        let least = (WIDTH_MIN * longest).max(WIDTH_RATIO_MIN * first.newer);
        first.newer > 0.0 && last.newer - first.newer < least
    };
    loop {
        let same = (1..spans.len()).find(|at| is_same(&spans[at - 1], &spans[*at]));
        if let Some(at) = same {
            spans[at - 1].end = spans[at].end;
            spans.remove(at);
            continue;
        }
        let thin = (1..spans.len()).find(|at| is_thin(&spans[*at]));
        let Some(at) = thin else { return spans };
        give_to_neighbours(points, &mut spans, at);
    }
}

/// The point from which on prompts were not found: so that the fewest points say otherwise.
fn first_lost(points: &[Point]) -> usize {
    let lost = |point: &Point| point.found.is_some_and(|found| found < 0.5);
    let mut wrong = points.iter().filter(|point| !lost(point)).count() as i64;
    let (mut best, mut least) = (0, wrong);
    for (at, point) in points.iter().enumerate() {
        wrong += if lost(point) { 1 } else { -1 };
        if wrong <= least {
            (best, least) = (at + 1, wrong);
        }
    }
    best
}

/// Standard deviation of values about a slowly changing height.
fn scatter(values: &[f64]) -> f64 {
    let steps = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    1.4826 * median(steps).unwrap_or(0.0) / std::f64::consts::SQRT_2
}

fn knee_between(
    points: &[Point],
    scale: &Scale,
    near: &Level,
    far: &Level,
    is_end: bool,
) -> Option<Knee> {
    let boundary = points[near.points.end - 1].newer;
    let low = points[near.points.start].newer.max(boundary / KNEE_FACTOR);
    let high = points[far.points.end - 1].newer.min((boundary + scale.tokens) * KNEE_FACTOR);
    let around = points.iter().filter(|point| low <= point.newer && point.newer <= high);
    let samples: Vec<Sample> = around
        .map(|point| {
            let by_time = || time_share(near.alike_ms, far.alike_ms, point.alike_ms);
            let share = point.found.filter(|_| is_end).unwrap_or_else(by_time);
            Sample { newer: point.newer, tokens: point.tokens, share: share.clamp(0.0, 1.0) }
        })
        .collect();
    knee(&samples)
}
