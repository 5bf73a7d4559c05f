//! Which pages tell of the same engine, so that nothing counts twice: a router that shows its workers'
//! series beside the workers themselves, one server under two URLs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use turnbench_model::FigureKind;

use crate::builder::{Series, Source};
use crate::dialect::Role;

/// An engine on a page: number of the source, engine, index in the dialects.
type Unit<'a> = (usize, &'a str, usize);

/// What tells one counter from any other: its name, with its suffix, and a value that no other has.
type Mark<'a> = (&'a str, u64);

/// Engines that other pages tell of as well.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    /// Source, engine and dialect of what counts elsewhere already.
    dropped: BTreeSet<(usize, String, usize)>,
    /// Dialects of figures in which something counts twice that cannot be taken out.
    pub(crate) repeated: BTreeSet<usize>,
}

impl Twins {
    /// Compares the pages of several sources.
    ///
    /// When a counter was created, to the microsecond, is its own: an engine all of whose counters are
    /// on another page is left out. Without creation times sums of measured seconds tell that two pages
    /// are of one engine, but not of each series which is which.
    pub(crate) fn of(sources: &[Source]) -> Self {
        let mut twins = Self::default();
        if sources.len() < 2 {
            return twins;
        }
        let mut units: BTreeMap<Unit<'_>, Vec<Mark<'_>>> = BTreeMap::new();
        let mut sums: BTreeMap<(Mark<'_>, u64), usize> = BTreeMap::new();
        for (at, source) in sources.iter().enumerate() {
            for (key, series) in &source.series {
                // Exporters write the prefix in several ways.
                let name = key.split('{').next().unwrap_or_default();
                let name = name.split_once([':', '_']).map_or(name, |(_, name)| name);
                for (dialect, mark) in series.created_marks(name) {
                    units.entry((at, &series.engine, dialect)).or_default().push(mark);
                }
                for (dialect, mark, before) in series.sum_marks(name) {
                    if *sums.entry((mark, before)).or_insert(at) != at {
                        twins.repeated.insert(dialect);
                    }
                }
            }
        }
        // Those whose growth is known go first, and of them those that may be several engines.
        let mut units: Vec<_> = units.into_iter().collect();
        units.sort_by_key(|((at, _, _), marks)| {
            let is_known = sources[*at].had_before && sources[*at].had_after;
            (!is_known, Reverse(marks.len()))
        });
        let mut seen: BTreeMap<Mark<'_>, usize> = BTreeMap::new();
        for ((at, engine, dialect), marks) in units {
            let is_elsewhere = |mark: &&Mark<'_>| seen.get(*mark).is_some_and(|other| *other != at);
            let count = marks.iter().filter(is_elsewhere).count();
            if count == marks.len() {
                twins.dropped.insert((at, engine.to_owned(), dialect));
            } else if count > 0 {
                twins.repeated.insert(dialect);
            }
            seen.extend(marks.into_iter().map(|mark| (mark, at)));
        }
        twins
    }

    /// Whether an engine counts elsewhere already.
    pub(crate) fn drops(&self, source: usize, engine: &str, dialect: usize) -> bool {
        !self.dropped.is_empty() && self.dropped.contains(&(source, engine.to_owned(), dialect))
    }
}

impl Series {
    /// By dialect: when it was created, if so exactly that no two counters share it.
    fn created_marks<'a>(&self, name: &'a str) -> impl Iterator<Item = (usize, Mark<'a>)> {
        let values = self.parts.iter().filter(|part| part.place.role == Role::Value);
        values.filter_map(move |part| {
            let created = part.state.created.filter(|created| is_exact(*created))?;
            Some((part.place.dialect, (name, created.to_bits())))
        })
    }

    /// By dialect: a sum of seconds that were measured and grew, and what it was before.
    fn sum_marks<'a>(&self, name: &'a str) -> impl Iterator<Item = (usize, Mark<'a>, u64)> {
        let values = self.parts.iter().filter(|part| part.place.role == Role::Value);
        values.filter_map(move |part| {
            let (before, now) = part.state.before.zip(part.state.now)?;
            let is_measured = part.place.figure.definition().kind == FigureKind::Histogram
                && part.state.created.is_none_or(|created| !is_exact(created))
                && now > before
                && is_exact(now);
            is_measured.then_some((part.place.dialect, (name, now.to_bits()), before.to_bits()))
        })
    }
}

/// Whether a number of seconds has more digits than milliseconds.
fn is_exact(seconds: f64) -> bool {
    let millis = seconds * 1e3;
    seconds > 0.0 && (millis - millis.round()).abs() > 1e-3
}
