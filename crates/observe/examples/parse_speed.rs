//! How long a page of 10 MB takes, on one core: from bytes to series, and from series to figures.
//! The page is that of a vLLM 0.32, with 140 engines instead of one.
//!
//! `cargo run --release -p turnbench-observe --example parse_speed`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is what it is for")]

use std::path::Path;

use turnbench_model::{Clock, MetricsSample, MonotonicClock, Nanos, SampleMoment, Scrape};
use turnbench_observe::text::Entries;
use turnbench_observe::{FiguresBuilder, counts_alike, page};

const BYTES: usize = 10_000_000;
/// Each figure is the least of so many.
const ROUNDS: usize = 20;

fn main() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/metrics/vllm-0.32-after-load.prom.zst");
    let one = zstd::decode_all(&std::fs::read(file).unwrap()[..]).unwrap();
    let one = String::from_utf8(one).unwrap();
    let comments: usize =
        one.lines().filter(|line| line.starts_with('#')).map(|line| line.len() + 1).sum();
    let engines = (BYTES - comments) / (one.len() - comments);
    let lines = one.lines().flat_map(|line| {
        let copies = if line.starts_with('#') { 1 } else { engines };
        (0..copies).map(move |at| line.replace("engine=\"0\"", &format!("engine=\"{at}\"")) + "\n")
    });
    let body: String = lines.collect();
    let body = body.as_bytes();
    let clock = MonotonicClock::start();

    let lines = least(&clock, || Entries::new(body).unwrap().count());
    show("lines read", body.len(), lines);
    let read = page(body).unwrap();
    println!("  {} series, {} bad lines", read.series.len(), read.bad_lines);
    show("page of series", body.len(), least(&clock, || page(body).unwrap().series.len()));

    let sample = |moment| MetricsSample {
        source: "u".into(),
        moment,
        at_ns: Nanos::ZERO,
        half_width_ns: Nanos::ZERO,
        scrape: Scrape::Page(read.clone()),
    };
    let (before, during) = (sample(SampleMoment::Before), sample(SampleMoment::During));
    let mut figures = FiguresBuilder::default();
    let began = clock.now();
    figures.add(&before);
    show("first page to figures", body.len(), clock.now().since(began));
    show("later page to figures", body.len(), least(&clock, || figures.add(&during)));
    show("counts compared", body.len(), least(&clock, || counts_alike(&read, &read)));
    let began = clock.now();
    let readings = figures.finish().readings.len();
    show("figures made", body.len(), clock.now().since(began));
    println!("  {readings} figures");
}

fn least<T>(clock: &MonotonicClock, mut work: impl FnMut() -> T) -> Nanos {
    let took = (0..ROUNDS).map(|_| {
        let began = clock.now();
        std::hint::black_box(work());
        clock.now().since(began)
    });
    took.min().unwrap_or(Nanos::ZERO)
}

fn show(what: &str, bytes: usize, took: Nanos) {
    let seconds = took.0 as f64 / 1e9;
    let speed = bytes as f64 / 1e6 / seconds;
    println!("{what}: {:.1} ms, {speed:.0} MB/s", seconds * 1e3);
}
