use std::collections::BTreeMap;
use std::sync::Arc;

use turnbench_model::{
    MetricsPage, MetricsSample, MetricsSource, SampleMoment, Scrape, ServerFigures,
};

use crate::dialect::{self, DIALECTS, Place};
use crate::reading::{Gauges, readings};
use crate::series::SeriesName;
use crate::series_state::{Seen, SeriesState};

/// Makes figures of the samples of a run, which come one after another and are not kept: what stays
/// is a few numbers for each series that has a part in a figure, and each figure's values over time.
#[derive(Debug, Default)]
pub struct FiguresBuilder {
    sources: Vec<Source>,
    gauges: Gauges,
}

/// One URL.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) about: MetricsSource,
    /// Series by their text. Ones without a part in a figure have no places.
    pub(crate) series: BTreeMap<Arc<str>, Series>,
    has_start: bool,
    pub(crate) had_before: bool,
    pub(crate) had_after: bool,
}

/// One series, and its part in figures.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) parts: Vec<Part>,
    pub(crate) engine: String,
    /// Where its creation time is.
    created_key: Option<Arc<str>>,
}

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) place: Place,
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
        let source = &mut self.sources[at];
        match &sample.scrape {
            Scrape::Failed(why) => source.fail(why, sample.moment),
            Scrape::Page(page) => {
                source.page(page, sample.moment);
                self.gauges.note(&self.sources, sample.at_ns, sample.moment);
            }
        }
    }

    /// The figures of all samples so far.
    pub fn finish(mut self) -> ServerFigures {
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
            has_start: false,
            had_before: false,
            had_after: false,
        }
    }

    fn fail(&mut self, why: &str, moment: SampleMoment) {
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
        self.about.pages += 1;
        self.about.bad_lines = self.about.bad_lines.max(page.bad_lines);
        self.about.left_out = self.about.left_out.max(page.left_out);
        for part in self.series.values_mut().flat_map(|series| &mut series.parts) {
            part.state.page(moment);
        }
        // Which series says when another was created stays the same.
        let has_new = page.series.keys().any(|key| !self.series.contains_key(key));
        let created = if has_new { created_keys(page) } else { BTreeMap::new() };
        for (key, &value) in &page.series {
            let series = self.series.entry(Arc::clone(key));
            let series = series.or_insert_with(|| Series::new(key, is_late, &created));
            let created = series.created_key.as_ref().and_then(|key| page.series.get(key).copied());
            for part in &mut series.parts {
                let value = part.place.value.unwrap_or(value);
                part.state.see(Seen { value, created, moment });
                let dialect = DIALECTS[part.place.dialect].name;
                if !self.about.dialects.iter().any(|known| known == dialect) {
                    self.about.dialects.push(dialect.to_owned());
                }
            }
        }
        match moment {
            SampleMoment::Start => self.has_start = true,
            SampleMoment::Before => {
                self.had_before = true;
                for part in self.series.values_mut().flat_map(|series| &mut series.parts) {
                    part.state.end_before(self.has_start);
                }
            }
            SampleMoment::During => {}
            SampleMoment::After => self.had_after = true,
        }
    }
}

impl Series {
    fn new(key: &str, is_late: bool, created: &BTreeMap<String, Arc<str>>) -> Self {
        let Some(name) = SeriesName::parse(key) else {
            return Self { parts: Vec::new(), engine: String::new(), created_key: None };
        };
        let part = |place: Place| {
            let state = SeriesState::new(dialect::is_counted(place.figure), is_late);
            Part { place, state }
        };
        let parts: Vec<_> = dialect::places(&name).into_iter().map(part).collect();
        let created_key = (!parts.is_empty()).then(|| created.get(&counted_key(&name)).cloned());
        Self {
            engine: dialect::engine(&name).to_owned(),
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
