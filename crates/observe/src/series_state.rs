use std::cmp::Ordering;

use turnbench_model::{FigureFlag, SampleMoment};

/// A server that was started anew so often in a run is several servers that answer in turn.
const FALLS_MAX: u32 = 3;

/// What became of one series over a run, sample by sample.
#[derive(Debug)]
pub(crate) struct SeriesState {
    is_counter: bool,
    /// Its value on the source's last page that had one.
    last: Option<f64>,
    /// When it was created, as the server says.
    pub(crate) created: Option<f64>,
    /// Value on the last page before the run proper; `None` where it was not there.
    pub(crate) before: Option<f64>,
    /// Value on the last page of all; `None` where it was not there.
    pub(crate) now: Option<f64>,
    /// Whether the last page of all had it as something that is no finite number.
    is_nan: bool,
    /// Whether the last page before the run proper had.
    was_nan: bool,
    /// Growth since the beginning of the phase; `None` before the first page of it.
    grown: f64,
    warmup: Option<f64>,
    /// How often it fell since the beginning of the phase.
    falls: u32,
    /// Whether it was created before its last creation: by another server.
    is_other: bool,
    pub(crate) flags: Vec<FigureFlag>,
    /// Largest value since the run proper began.
    pub(crate) max: Option<f64>,
}

/// A series on one page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) value: f64,
    /// When it was created, where the page says.
    pub(crate) created: Option<f64>,
    pub(crate) moment: SampleMoment,
}

impl SeriesState {
    /// A series that comes up now. `is_late`: its source has shown a page without it in this run.
    pub(crate) fn new(is_counter: bool, is_late: bool) -> Self {
        Self {
            is_counter,
            // It was not shown because there was nothing to count.
            last: (is_counter && is_late).then_some(0.0),
            created: None,
            before: None,
            now: None,
            is_nan: false,
            was_nan: false,
            grown: 0.0,
            warmup: None,
            falls: 0,
            is_other: false,
            flags: Vec::new(),
            max: None,
        }
    }

    /// Notes that a page of this moment comes; the series may be on it or not.
    pub(crate) fn page(&mut self, moment: SampleMoment) {
        self.now = None;
        self.is_nan = false;
        if moment == SampleMoment::Before {
            self.before = None;
            self.was_nan = false;
        }
    }

    /// Takes a value.
    pub(crate) fn see(&mut self, seen: Seen) {
        if !seen.value.is_finite() {
            self.is_nan = true;
            self.was_nan |= seen.moment == SampleMoment::Before;
            return;
        }
        self.count(seen);
        self.last = Some(seen.value);
        self.created = seen.created.or(self.created);
        self.now = Some(seen.value);
        match seen.moment {
            SampleMoment::Start => {}
            SampleMoment::Before => {
                self.before = Some(seen.value);
                self.max = Some(seen.value);
            }
            SampleMoment::During | SampleMoment::After => {
                self.max = Some(self.max.map_or(seen.value, |max| max.max(seen.value)));
            }
        }
    }

    /// Notes that the last page before the run proper has been taken: what was counted up to it
    /// belongs to the warm-up.
    pub(crate) fn end_before(&mut self, has_warmup: bool) {
        let grown = std::mem::take(&mut self.grown);
        self.warmup = has_warmup.then(|| self.warmup.unwrap_or(0.0) + grown);
        self.flags.clear();
        self.falls = 0;
        self.is_other = false;
    }

    fn count(&mut self, seen: Seen) {
        let Some(last) = self.last.filter(|_| self.is_counter) else { return };
        // What is not a number does not tell.
        let created = self.created.zip(seen.created).and_then(|(old, new)| new.partial_cmp(&old));
        self.is_other |= created == Some(Ordering::Less);
        if seen.value < last || created.is_some_and(Ordering::is_ne) {
            self.flag(FigureFlag::Restarted);
            self.falls += 1;
            self.grown += seen.value;
        } else {
            self.grown += seen.value - last;
        }
    }

    pub(crate) fn flag(&mut self, flag: FigureFlag) {
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }

    /// Growth in the warm-up.
    pub(crate) fn warmup_growth(&self) -> Option<f64> {
        self.warmup.filter(|_| self.is_counter)
    }

    /// Growth in the run proper, with flags that say what it is worth. `had_before`, `had_after`:
    /// whether its source showed a page then.
    pub(crate) fn growth(&mut self, had_before: bool, had_after: bool) -> Option<f64> {
        if !had_before {
            self.flag(FigureFlag::NoBefore);
        }
        if !had_after {
            self.flag(FigureFlag::NoAfter);
        }
        if self.is_nan || self.was_nan {
            self.flag(FigureFlag::NotANumber);
        } else if self.now.is_none() {
            self.flag(FigureFlag::Vanished);
        }
        if had_before && self.before.is_none() && !self.was_nan {
            self.flag(FigureFlag::Appeared);
        }
        let is_alternating = self.is_other || self.falls > FALLS_MAX;
        if is_alternating {
            self.flag(FigureFlag::Alternating);
        }
        let is_known =
            had_before && had_after && !self.was_nan && !is_alternating && self.now.is_some();
        (is_known && self.is_counter && self.grown.is_finite()).then_some(self.grown)
    }
}
