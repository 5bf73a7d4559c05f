use std::collections::BTreeMap;
use std::sync::Arc;

use turnbench_model::{
    MetricsPage, MetricsSample, MetricsSource, Nanos, SampleMoment, Scrape, ServerFigures,
};

use crate::dialect::{self, DIALECTS, Dialect, Place, Stage};
use crate::page::SERIES_MAX;
use crate::reading::{Gauges, readings};
use crate::series::SeriesName;
use crate::series_state::{Seen, SeriesState};

/// Makes figures of the samples of a run, which come one after another and are not kept: what stays
/// is a few numbers for each series that has a part in a figure (at most [`SERIES_MAX`] of a URL), and
/// each figure's values over time.
#[derive(Debug, Default)]
pub struct FiguresBuilder {
    sources: Vec<Source>,
    gauges: Gauges,
    look: Option<Look>,
}

/// A question to every URL in turn.
#[derive(Debug)]
struct Look {
    moment: SampleMoment,
    /// Of its last page.
    at_ns: Nanos,
    /// Numbers of the sources asked so far.
    asked: Vec<usize>,
}

/// One URL.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) about: MetricsSource,
    /// Series under names that are known, by their text.
    pub(crate) series: BTreeMap<Arc<str>, Series>,
    /// The ranks that count: of those that differ in nothing else the first, by what they share.
    ranks: BTreeMap<String, Arc<str>>,
    /// Whether its last question was answered.
    pub(crate) is_fresh: bool,
    has_start: bool,
    pub(crate) had_before: bool,
    pub(crate) had_after: bool,
}

/// One series, and its part in figures.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) parts: Vec<Part>,
    pub(crate) engine: String,
    /// Whether it tells of an engine that does one part of each request only.
    pub(crate) stage: Option<Stage>,
    /// Where its creation time is.
    created_key: Option<Arc<str>>,
}

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) place: Place,
    /// Whether another rank of its engine tells the same.
    pub(crate) is_repeat: bool,
    pub(crate) state: SeriesState,
}

impl FiguresBuilder {
    /// Takes a sample; a run's samples come in order.
    pub fn add(&mut self, sample: &MetricsSample) {
        let at = self.sources.iter().position(|source| *source.about.url == *sample.source);
        let at = at.unwrap_or_else(|| {
            self.sources.push(Source::new(&sample.source));
            self.sources.len() - 1
        });
        let is_same = |look: &Look| look.moment == sample.moment && !look.asked.contains(&at);
        if !self.look.as_ref().is_some_and(is_same) {
            self.end_look();
        }
        let look = self.look.get_or_insert_with(|| Look {
            moment: sample.moment,
            at_ns: sample.at_ns,
            asked: Vec::new(),
        });
        look.at_ns = look.at_ns.max(sample.at_ns);
        look.asked.push(at);
        let source = &mut self.sources[at];
        match &sample.scrape {
            Scrape::Failed(why) => source.fail(why, sample.moment),
            Scrape::Page(page) => source.page(page, sample.moment),
        }
    }

    /// Notes the values of all sources once each of them has been asked.
    fn end_look(&mut self) {
        if let Some(look) = self.look.take() {
            self.gauges.note(&self.sources, look.at_ns, look.moment);
        }
    }

    /// The figures of all samples so far.
    pub fn finish(mut self) -> ServerFigures {
        self.end_look();
        let readings = readings(&mut self.sources, &self.gauges);
        let mut sources: Vec<_> = self.sources.into_iter().map(|source| source.about).collect();
        for source in &mut sources {
            source
                .dialects
                .sort_by_key(|name| DIALECTS.iter().position(|dialect| dialect.name == name));
        }
        ServerFigures { sources, readings }
    }
}

impl Source {
    fn new(url: &str) -> Self {
        Self {
            about: MetricsSource { url: url.to_owned(), ..MetricsSource::default() },
            series: BTreeMap::new(),
            ranks: BTreeMap::new(),
            is_fresh: false,
            has_start: false,
            had_before: false,
            had_after: false,
        }
    }

    fn fail(&mut self, why: &str, moment: SampleMoment) {
        self.is_fresh = false;
        self.about.failures += 1;
        self.about.first_failure.get_or_insert_with(|| why.to_owned());
        match moment {
            // The page before it is not from just before the run, or after it.
            SampleMoment::Before => self.had_before = false,
            SampleMoment::After => self.had_after = false,
            SampleMoment::Start | SampleMoment::During => {}
        }
    }

    fn page(&mut self, page: &MetricsPage, moment: SampleMoment) {
        let is_late = self.about.pages > 0;
        self.is_fresh = true;
        self.about.pages += 1;
        self.about.bad_lines = self.about.bad_lines.max(page.bad_lines);
        for part in self.parts() {
            part.state.page(moment);
        }
        let left_out = page.left_out + self.meet(page, is_late);
        self.about.left_out = self.about.left_out.max(left_out);
        for (key, series) in &mut self.series {
            let Some(&value) = page.series.get(key) else { continue };
            let created = series.created_key.as_ref().and_then(|key| page.series.get(key).copied());
            for part in &mut series.parts {
                let value = part.place.value.unwrap_or(value);
                part.state.see(Seen { value, created, moment });
            }
        }
        match moment {
            SampleMoment::Start => self.has_start = true,
            SampleMoment::Before => {
                self.had_before = true;
                let has_start = self.has_start;
                for part in self.parts() {
                    part.state.end_before(has_start);
                }
            }
            SampleMoment::After => self.had_after = true,
            SampleMoment::During => {}
        }
    }

    fn parts(&mut self) -> impl Iterator<Item = &mut Part> {
        self.series.values_mut().flat_map(|series| &mut series.parts)
    }

    /// Takes in the series of a page that are new and have names that are known; gives how many of
    /// them are too many.
    fn meet(&mut self, page: &MetricsPage, is_late: bool) -> u64 {
        let mut left_out = 0;
        let mut known_name = KnownName::default();
        // Which series says when another was created stays the same.
        let mut created = None;
        for key in page.series.keys() {
            if !known_name.is_of(key) || self.series.contains_key(key) {
                continue;
            }
            if self.series.len() >= SERIES_MAX {
                left_out += 1;
                continue;
            }
            let Some(name) = SeriesName::parse(key) else { continue };
            let created = created.get_or_insert_with(|| created_keys(page));
            let mut series = Series::new(&name, is_late, created);
            for part in &mut series.parts {
                let dialect = DIALECTS[part.place.dialect];
                part.is_repeat = dialect.adds_no_rank(&name, part.place.figure)
                    && is_repeat(&mut self.ranks, &name, dialect, key);
                if !self.about.dialects.iter().any(|known| known == dialect.name) {
                    self.about.dialects.push(dialect.name.to_owned());
                }
            }
            self.series.insert(Arc::clone(key), series);
        }
        left_out
    }
}

/// Whether another rank's series, which came first, tells the same.
fn is_repeat(
    ranks: &mut BTreeMap<String, Arc<str>>,
    name: &SeriesName,
    dialect: &Dialect,
    key: &Arc<str>,
) -> bool {
    let first = ranks.entry(name.key_without(dialect.rank_labels));
    *first.or_insert_with(|| Arc::clone(key)) != *key
}

/// Tells keys with a name that is known, page after page in ascending order.
#[derive(Default)]
struct KnownName {
    last: String,
    is_known: bool,
}

impl KnownName {
    fn is_of(&mut self, key: &str) -> bool {
        let name = key.split('{').next().unwrap_or_default();
        if name.is_empty() {
            // In quotes.
            return SeriesName::parse(key).is_some_and(|it| dialect::rules(&it.name).len() > 0);
        }
        if name != self.last {
            name.clone_into(&mut self.last);
            self.is_known = dialect::rules(name).len() > 0;
        }
        self.is_known
    }
}

impl Series {
    fn new(name: &SeriesName, is_late: bool, created: &BTreeMap<String, Arc<str>>) -> Self {
        let part = |place: Place| {
            let state = SeriesState::new(dialect::is_counted(place.figure), is_late);
            Part { place, is_repeat: false, state }
        };
        let parts: Vec<_> = dialect::places(name).into_iter().map(part).collect();
        let created_key = (!parts.is_empty()).then(|| created.get(&counted_key(name)).cloned());
        Self {
            engine: dialect::engine(name),
            stage: dialect::stage(name),
            parts,
            created_key: created_key.flatten(),
        }
    }
}

/// The series that say when another was created, by that other's name and labels.
fn created_keys(page: &MetricsPage) -> BTreeMap<String, Arc<str>> {
    let candidates = page.series.keys().filter(|key| key.contains("_created"));
    let known = candidates.filter_map(|key| {
        let name = SeriesName::parse(key)?;
        let plain = dialect::created_name(&name.name)?;
        Some((SeriesName::new(&plain, name.labels).key(), Arc::clone(key)))
    });
    known.collect()
}

/// As in [`created_keys`]; the bound of a bucket is no label of the family.
fn counted_key(name: &SeriesName) -> String {
    let labels = name.labels.iter().filter(|(label, _)| label != "le").cloned().collect();
    SeriesName::new(&dialect::counted_name(&name.name), labels).key()
}

#[cfg(test)]
mod tests;
