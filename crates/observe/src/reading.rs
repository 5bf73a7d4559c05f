//! From the series of all sources to one reading for each figure.

use std::collections::{BTreeMap, BTreeSet};

use turnbench_model::{
    Combination, EngineReading, Figure, FigureFlag, FigureKind, FigurePoint, FigureReading,
    FigureUnit, HistogramGrowth, Nanos, SampleMoment, SampleStatistics,
};

use crate::builder::Source;
use crate::dialect::{DIALECTS, Role, Stage};
use crate::twins::Twins;

/// A figure of a kind of server: index in the dialects.
type Key = (Figure, usize);

/// Each figure's values over time, page by page.
#[derive(Debug, Default)]
pub(crate) struct Gauges(BTreeMap<Key, Track>);

#[derive(Debug, Default)]
struct Track {
    points: Vec<FigurePoint>,
    /// Of the points since the last page before the run proper.
    from: usize,
}

impl Gauges {
    /// Notes every figure's value after all sources have been asked. One to which a source without an
    /// answer belongs has none.
    pub(crate) fn note(&mut self, sources: &[Source], at_ns: Nanos, moment: SampleMoment) {
        if moment == SampleMoment::Before {
            for track in self.0.values_mut() {
                track.from = track.points.len();
            }
        }
        let (ranks, twins) = (ranks(sources), Twins::of(sources));
        let mut values: BTreeMap<Key, Option<f64>> = BTreeMap::new();
        for (number, source) in sources.iter().enumerate() {
            for series in source.series.values() {
                for part in &series.parts {
                    let key = (part.place.figure, part.place.dialect);
                    let definition = key.0.definition();
                    if part.place.role != Role::Value
                        || part.is_repeat
                        || definition.kind == FigureKind::Histogram
                        || ranks.get(&(number, key)) != Some(&part.place.rank)
                        || twins.drops(number, &series.engine, part.place.dialect)
                    {
                        continue;
                    }
                    if !source.is_fresh {
                        values.insert(key, None);
                    } else if let Some(value) = part.state.now {
                        let one = values.entry(key);
                        one.and_modify(|all| {
                            *all = all.map(|all| combined(definition.combination, all, value));
                        })
                        .or_insert(Some(value));
                    }
                }
            }
        }
        for (key, value) in values {
            let track = self.0.entry(key).or_default();
            track.points.extend(value.map(|value| FigurePoint { at_ns, value }));
        }
    }
}

impl Track {
    fn statistics(&self) -> Option<SampleStatistics> {
        let points = self.points.get(self.from..).unwrap_or_default();
        let values = || points.iter().map(|point| point.value);
        (!points.is_empty()).then(|| SampleStatistics {
            samples: points.len() as u64,
            min: values().fold(f64::INFINITY, f64::min),
            mean: values().sum::<f64>() / points.len() as f64,
            max: values().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

fn combined(combination: Combination, one: f64, other: f64) -> f64 {
    match combination {
        Combination::Sum => one + other,
        Combination::Max => one.max(other),
    }
}

/// The names that count: for each source and figure the smallest rank there is.
fn ranks(sources: &[Source]) -> BTreeMap<(usize, Key), usize> {
    let mut ranks = BTreeMap::new();
    for (number, source) in sources.iter().enumerate() {
        for part in source.series.values().flat_map(|series| &series.parts) {
            let place = part.place;
            let best = ranks.entry((number, (place.figure, place.dialect))).or_insert(place.rank);
            *best = (*best).min(place.rank);
        }
    }
    ranks
}

/// One reading for each figure and kind of server, ascending.
pub(crate) fn readings(sources: &mut [Source], gauges: &Gauges) -> Vec<FigureReading> {
    let (ranks, twins) = (ranks(sources), Twins::of(sources));
    let is_one_source = sources.len() == 1;
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    let mut stages: BTreeSet<(usize, Stage)> = BTreeSet::new();
    for (number, source) in sources.iter_mut().enumerate() {
        let (had_before, had_after) = (source.had_before, source.had_after);
        for series in source.series.values_mut() {
            let engine = if is_one_source {
                series.engine.clone()
            } else {
                format!("{} {}", source.about.url, series.engine).trim_end().to_owned()
            };
            for part in &mut series.parts {
                let place = part.place;
                let key = (place.figure, place.dialect);
                if ranks.get(&(number, key)) != Some(&place.rank) {
                    continue;
                }
                let group = groups.entry(key).or_insert_with(|| Group::new(key.0));
                if part.is_repeat || twins.drops(number, &series.engine, place.dialect) {
                    group.flags.insert(FigureFlag::CountedOnce);
                    continue;
                }
                stages.extend(series.stage.map(|stage| (place.dialect, stage)));
                let growth = part.state.growth(had_before, had_after);
                let seen = SeriesReading {
                    role: place.role,
                    had_before,
                    before: part.state.before,
                    after: part.state.now.filter(|_| had_after),
                    growth,
                    warmup_growth: part.state.warmup_growth(),
                    max: part.state.max,
                };
                // A histogram's parts appear one by one; its sum stands for all.
                if seen.role == Role::Value {
                    group.flags.extend(&part.state.flags);
                }
                group.add(&engine, &seen);
            }
        }
    }
    let made = groups.into_iter().map(|(key, group)| {
        let mut reading = group.reading(key);
        if let Some(track) = gauges.0.get(&key) {
            reading.points.clone_from(&track.points);
            if key.0.definition().kind == FigureKind::Gauge {
                reading.during = track.statistics();
            }
        }
        (key.1, reading)
    });
    let mut made: Vec<_> = made.collect();
    let handing = handing(&made, &stages);
    for (dialect, reading) in &mut made {
        let is_repeated = handing.contains(dialect) && is_of_requests(reading.figure)
            || twins.repeated.contains(dialect)
                && reading.figure.definition().combination == Combination::Sum;
        if is_repeated {
            flag(reading, FigureFlag::Repeated);
        }
        if DIALECTS[*dialect].is_lagging && reading.growth.is_some() {
            flag(reading, FigureFlag::Lagging);
        }
    }
    made.into_iter().map(|(_, reading)| reading).collect()
}

/// The kinds of servers in which a request passes from one engine to another.
fn handing(
    readings: &[(usize, FigureReading)],
    stages: &BTreeSet<(usize, Stage)>,
) -> BTreeSet<usize> {
    let is_handing = |dialect: usize| {
        let of = |figure| {
            let is_it = |(its, reading): &&(usize, FigureReading)| {
                (*its, reading.figure) == (dialect, figure)
            };
            readings.iter().find(is_it).map(|(_, reading)| reading)
        };
        let are_several = of(Figure::PromptTokens).is_some_and(|it| it.engines.len() > 1);
        let moved = of(Figure::TransferBytes).and_then(|it| it.growth);
        let is_split = [Stage::Prefill, Stage::Decode].map(|it| stages.contains(&(dialect, it)));
        is_split == [true, true] || (are_several && moved.is_some_and(|bytes| bytes > 0.0))
    };
    (0..DIALECTS.len()).filter(|dialect| is_handing(*dialect)).collect()
}

/// Whether each request counts in a figure.
fn is_of_requests(figure: Figure) -> bool {
    let definition = figure.definition();
    match definition.kind {
        FigureKind::Counter => {
            matches!(definition.unit, FigureUnit::Tokens | FigureUnit::Requests)
        }
        FigureKind::Histogram => true,
        FigureKind::Gauge => false,
    }
}

fn flag(reading: &mut FigureReading, flag: FigureFlag) {
    reading.flags.push(flag);
    reading.flags.sort_unstable();
    reading.flags.dedup();
}

/// What one series brings to a figure.
struct SeriesReading {
    role: Role,
    had_before: bool,
    before: Option<f64>,
    after: Option<f64>,
    growth: Option<f64>,
    warmup_growth: Option<f64>,
    max: Option<f64>,
}

/// A figure's series, brought together.
struct Group {
    figure: Figure,
    all: Total,
    engines: BTreeMap<String, Total>,
    flags: BTreeSet<FigureFlag>,
    count: Option<Known>,
    /// Growth by upper bound, and the number of series that have it.
    buckets: BTreeMap<u64, (Known, u32)>,
}

/// A sum that is not known if one of its parts is not.
#[derive(Clone, Copy)]
struct Known(Option<f64>);

impl Known {
    const ZERO: Self = Self(Some(0.0));

    fn add(&mut self, more: Option<f64>) {
        self.0 = self.0.zip(more).map(|(sum, more)| sum + more);
    }
}

/// Values of several series as one.
struct Total {
    combination: Combination,
    before: Option<f64>,
    after: Option<f64>,
    is_before_whole: bool,
    is_after_whole: bool,
    growth: Known,
    warmup_growth: Known,
    max: Option<f64>,
}

impl Total {
    fn new(figure: Figure) -> Self {
        Self {
            combination: figure.definition().combination,
            before: None,
            after: None,
            is_before_whole: true,
            is_after_whole: true,
            growth: Known::ZERO,
            warmup_growth: Known::ZERO,
            max: None,
        }
    }

    fn add(&mut self, seen: &SeriesReading) {
        let both = |one: Option<f64>, more: Option<f64>| match (one, more) {
            (Some(one), Some(more)) => Some(combined(self.combination, one, more)),
            (one, more) => one.or(more),
        };
        self.before = both(self.before, seen.before);
        self.after = both(self.after, seen.after);
        self.max = both(self.max, seen.max);
        // A counter that appears later was at 0.
        self.is_before_whole &= seen.had_before;
        self.is_after_whole &= seen.after.is_some();
        self.growth.add(seen.growth);
        self.warmup_growth.add(seen.warmup_growth);
    }

    /// The value before the run proper, if every source had a page then.
    fn before(&self) -> Option<f64> {
        self.before.filter(|_| self.is_before_whole)
    }

    /// The last value, if every series had one.
    fn after(&self) -> Option<f64> {
        self.after.filter(|_| self.is_after_whole)
    }
}

impl Group {
    fn new(figure: Figure) -> Self {
        Self {
            figure,
            all: Total::new(figure),
            engines: BTreeMap::new(),
            flags: BTreeSet::new(),
            count: None,
            buckets: BTreeMap::new(),
        }
    }

    fn add(&mut self, engine: &str, seen: &SeriesReading) {
        match seen.role {
            Role::Value => {
                self.all.add(seen);
                let figure = self.figure;
                let one = self.engines.entry(engine.to_owned());
                one.or_insert_with(|| Total::new(figure)).add(seen);
            }
            Role::Count => self.count.get_or_insert(Known::ZERO).add(seen.growth),
            Role::Bucket(bound) => {
                let bucket = self.buckets.entry(bound).or_insert((Known::ZERO, 0));
                bucket.0.add(seen.growth);
                bucket.1 += 1;
            }
        }
    }

    fn reading(self, (figure, dialect): Key) -> FigureReading {
        let is_counted = figure.definition().kind != FigureKind::Gauge;
        let is_histogram = figure.definition().kind == FigureKind::Histogram;
        let engines = self.engines.iter().map(|(engine, total)| EngineReading {
            engine: engine.clone(),
            before: total.before(),
            after: total.after(),
            growth: total.growth.0.filter(|_| is_counted),
            max: total.max.filter(|_| !is_counted),
        });
        let engines = if self.engines.len() > 1 { engines.collect() } else { Vec::new() };
        let histogram = is_histogram.then(|| self.histogram());
        FigureReading {
            figure,
            dialect: DIALECTS[dialect].name.to_owned(),
            before: self.all.before(),
            after: self.all.after(),
            growth: self.all.growth.0.filter(|_| is_counted),
            warmup_growth: self.all.warmup_growth.0.filter(|_| is_counted),
            during: None,
            histogram,
            flags: self.flags.into_iter().collect(),
            engines,
            points: Vec::new(),
        }
    }

    fn histogram(&self) -> HistogramGrowth {
        let mut counts = self.buckets.values().map(|(_, series)| series);
        let first = counts.next();
        let is_alike = counts.all(|series| Some(series) == first);
        let known = self
            .buckets
            .iter()
            .map(|(bound, (growth, _))| Some((f64::from_bits(*bound), growth.0?)));
        let buckets: Option<Vec<_>> = known.collect();
        HistogramGrowth {
            count: self.count.and_then(|count| count.0),
            sum: self.all.growth.0,
            buckets: buckets.filter(|_| is_alike).unwrap_or_default(),
        }
    }
}
