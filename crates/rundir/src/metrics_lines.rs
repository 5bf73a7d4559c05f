use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use turnbench_model::{MetricsPage, MetricsSample, Nanos, SampleMoment, Scrape};

use crate::{BadLines, JsonLines, Line, LinesWriter, RunDirError};

/// A line of `server_metrics.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct MetricsLine {
    source: Arc<str>,
    moment: SampleMoment,
    at_ns: Nanos,
    half_width_ns: Nanos,
    /// Why there is no page; the rest is absent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Whether `series` is all of the page, not only what is new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    whole: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    series: BTreeMap<Arc<str>, Number>,
    /// Series of the page before that are no longer there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    bad_lines: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    left_out: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A value; JSON has no number for NaN and the infinities.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Other(Other),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Other {
    NaN,
    #[serde(rename = "+Inf")]
    Infinity,
    #[serde(rename = "-Inf")]
    MinusInfinity,
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        if value.is_nan() {
            Self::Other(Other::NaN)
        } else if value.is_finite() {
            Self::Finite(value)
        } else if value > 0.0 {
            Self::Other(Other::Infinity)
        } else {
            Self::Other(Other::MinusInfinity)
        }
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> Self {
        match number {
            Number::Finite(value) => value,
            Number::Other(Other::NaN) => Self::NAN,
            Number::Other(Other::Infinity) => Self::INFINITY,
            Number::Other(Other::MinusInfinity) => Self::NEG_INFINITY,
        }
    }
}

type Series = BTreeMap<Arc<str>, f64>;

/// Writes samples of a server's metrics: of each source the first page whole, of later ones only
/// what has changed.
#[derive(Debug)]
pub struct MetricsWriter {
    lines: LinesWriter,
    /// Each source's last page.
    last: BTreeMap<Arc<str>, Series>,
}

impl MetricsWriter {
    /// Writes to these lines.
    pub const fn new(lines: LinesWriter) -> Self {
        Self { lines, last: BTreeMap::new() }
    }

    /// Adds a sample and hands it to the kernel.
    ///
    /// # Errors
    /// When the disk refuses; what it refused is tried again with the next sample.
    pub fn push(&mut self, sample: &MetricsSample) -> Result<(), RunDirError> {
        let mut line = MetricsLine {
            source: Arc::clone(&sample.source),
            moment: sample.moment,
            at_ns: sample.at_ns,
            half_width_ns: sample.half_width_ns,
            error: None,
            whole: false,
            series: BTreeMap::new(),
            gone: Vec::new(),
            bad_lines: 0,
            left_out: 0,
        };
        match &sample.scrape {
            Scrape::Failed(why) => line.error = Some(why.clone()),
            Scrape::Page(page) => {
                line.bad_lines = page.bad_lines;
                line.left_out = page.left_out;
                let last = self.last.insert(Arc::clone(&sample.source), page.series.clone());
                line.whole = last.is_none();
                let last = last.unwrap_or_default();
                let is_news = |(key, value): &(&Arc<str>, &f64)| {
                    last.get(*key).is_none_or(|old| old.to_bits() != value.to_bits())
                };
                let news = page.series.iter().filter(is_news);
                line.series = news.map(|(key, value)| (Arc::clone(key), (*value).into())).collect();
                line.gone = last.into_keys().filter(|key| !page.series.contains_key(key)).collect();
            }
        }
        self.lines.push(&line)?;
        self.lines.flush()
    }
}

/// Reads what a [`MetricsWriter`] wrote: whole pages again, one sample at a time.
#[derive(Debug)]
pub struct MetricsReader<'a> {
    lines: JsonLines<'a>,
    last: BTreeMap<Arc<str>, Series>,
}

impl<'a> MetricsReader<'a> {
    /// Reads these lines.
    pub const fn new(lines: JsonLines<'a>) -> Self {
        Self { lines, last: BTreeMap::new() }
    }

    /// The next sample; `None` after the last one. After a damaged line the pages of its source may
    /// show values from before it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self) -> Result<Option<MetricsSample>, RunDirError> {
        loop {
            match self.lines.read::<MetricsLine>()? {
                None => return Ok(None),
                Some(Line::Bad) => {}
                Some(Line::Value(line)) => return Ok(Some(self.sample(line))),
            }
        }
    }

    /// Lines that are not what they should be.
    pub fn bad_lines(&self) -> BadLines {
        self.lines.bad_lines()
    }

    fn sample(&mut self, line: MetricsLine) -> MetricsSample {
        let scrape = if let Some(why) = line.error {
            Scrape::Failed(why)
        } else {
            let series = self.last.entry(Arc::clone(&line.source)).or_default();
            if line.whole {
                series.clear();
            }
            for key in &line.gone {
                series.remove(key);
            }
            series.extend(line.series.into_iter().map(|(key, value)| (key, value.into())));
            Scrape::Page(MetricsPage {
                series: series.clone(),
                bad_lines: line.bad_lines,
                left_out: line.left_out,
            })
        };
        MetricsSample {
            source: line.source,
            moment: line.moment,
            at_ns: line.at_ns,
            half_width_ns: line.half_width_ns,
            scrape,
        }
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::{MetricsPage, MetricsSample, Nanos, SampleMoment, Scrape};

    use super::{MetricsReader, MetricsWriter};
    use crate::RunDir;

    fn page(source: &str, series: &[(&str, f64)]) -> MetricsSample {
        let series = series.iter().map(|(key, value)| ((*key).into(), *value)).collect();
        MetricsSample {
            source: source.into(),
            moment: SampleMoment::During,
            at_ns: Nanos(5),
            half_width_ns: Nanos(1),
            scrape: Scrape::Page(MetricsPage { series, bad_lines: 1, left_out: 0 }),
        }
    }

    fn written(samples: &[MetricsSample]) -> (String, Vec<MetricsSample>) {
        let parent = tempfile::tempdir().unwrap();
        let run_dir = RunDir::create(&parent.path().join("run")).unwrap();
        let mut writer = MetricsWriter::new(run_dir.create_lines("m.jsonl").unwrap());
        for sample in samples {
            writer.push(sample).unwrap();
        }
        let text = std::fs::read_to_string(run_dir.path().join("m.jsonl")).unwrap();
        let mut reader = MetricsReader::new(run_dir.read_lines("m.jsonl").unwrap());
        let mut read = Vec::new();
        while let Some(sample) = reader.read().unwrap() {
            read.push(sample);
        }
        (text, read)
    }

    #[test]
    fn later_pages_have_only_what_changed_and_read_back_whole() {
        let failed =
            MetricsSample { scrape: Scrape::Failed("timed out".to_owned()), ..page("a", &[]) };
        let samples = [
            page("a", &[("x", 1.0), ("y{b=\"c\"}", 2.0)]),
            page("b", &[("x", 1.0)]),
            failed,
            page("a", &[("x", 1.0), ("z", 3.0)]),
            page("a", &[("x", 4.0), ("z", 3.0)]),
        ];
        let (text, read) = written(&samples);
        assert_eq!(read, samples);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].contains("\"whole\":true") && lines[1].contains("\"whole\":true"));
        assert!(
            lines[3]
                .ends_with("\"series\":{\"z\":3.0},\"gone\":[\"y{b=\\\"c\\\"}\"],\"bad_lines\":1}")
        );
        assert!(lines[4].contains("\"series\":{\"x\":4.0}"), "{}", lines[4]);
    }

    #[test]
    fn numbers_that_are_none_read_back_too() {
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300];
        let series: Vec<_> = ["a", "b", "c", "d", "e"].into_iter().zip(values).collect();
        let (text, read) = written(&[page("a", &series), page("a", &series)]);
        assert!(text.contains("{\"a\":\"NaN\",\"b\":\"+Inf\",\"c\":\"-Inf\",\"d\":-0.0,"));
        // NaN is like NaN here: nothing has changed.
        assert!(!text.lines().nth(1).unwrap().contains("series"));
        for sample in read {
            let Scrape::Page(page) = sample.scrape else { panic!() };
            let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(page.series.into_values().collect()), bits(values.to_vec()));
        }
    }
}
