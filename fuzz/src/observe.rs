//! The target on pages of metrics.

#![allow(clippy::expect_used, reason = "a target that does not hold panics")]

use turnbench_model::{MetricsSample, Nanos, SampleMoment, Scrape};
use turnbench_observe::text::Entries;
use turnbench_observe::{FiguresBuilder, SeriesName, page};

/// Any bytes as a page: no line says two things, each series is read as it is written, line ends make
/// no difference, and what stands still has not grown.
pub fn metrics(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n').count() as u64;
    let mut entries = Entries::new(data).expect("inputs are short");
    let count = entries.by_ref().count() as u64;
    assert!(count + entries.bad_lines() <= lines, "a line is one entry at most");
    let read = page(data).expect("inputs are short");
    for key in read.series.keys() {
        let name = SeriesName::parse(key).expect("a series is written so that it can be read");
        assert_eq!(*name.key(), **key);
    }
    let crlf: Vec<u8> = data.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
    let other = page(&crlf).expect("inputs are short");
    let bits = |page: &turnbench_model::MetricsPage| -> Vec<_> {
        page.series.iter().map(|(key, value)| (key.clone(), value.to_bits())).collect()
    };
    assert_eq!(bits(&other), bits(&read));
    let mut figures = FiguresBuilder::default();
    for moment in
        [SampleMoment::Start, SampleMoment::Before, SampleMoment::During, SampleMoment::After]
    {
        figures.add(&MetricsSample {
            source: "u".into(),
            moment,
            at_ns: Nanos::ZERO,
            half_width_ns: Nanos::ZERO,
            scrape: Scrape::Page(read.clone()),
        });
    }
    for reading in figures.finish().readings {
        assert!(reading.growth.is_none_or(|growth| growth == 0.0), "{reading:?}");
    }
}
