use turnbench_model::{
    Figure, FigureFlag, FigureReading, MetricsSample, Nanos, SampleMoment, Scrape, ServerFigures,
};

use super::FiguresBuilder;
use crate::page;
use SampleMoment::{After, Before, During, Start};

const HITS: &str = "vllm:prefix_cache_hits_total";

fn sample(source: &str, moment: SampleMoment, text: Result<&str, &str>) -> MetricsSample {
    let scrape = match text {
        Ok(text) => Scrape::Page(page(text.as_bytes()).unwrap()),
        Err(why) => Scrape::Failed(why.to_owned()),
    };
    MetricsSample {
        source: source.into(),
        moment,
        at_ns: Nanos::ZERO,
        half_width_ns: Nanos::ZERO,
        scrape,
    }
}

fn figures(samples: &[(&str, SampleMoment, Result<&str, &str>)]) -> ServerFigures {
    let mut builder = FiguresBuilder::default();
    for (source, moment, text) in samples {
        builder.add(&sample(source, *moment, *text));
    }
    builder.finish()
}

/// Growth and flags of the hits over pages of one source.
fn check(pages: &[(SampleMoment, &str)], growth: Option<f64>, flags: &[FigureFlag]) {
    let samples: Vec<_> = pages.iter().map(|(moment, text)| ("u", *moment, Ok(*text))).collect();
    let figures = figures(&samples);
    let reading = figures.reading(Figure::PrefixCacheHits).unwrap();
    assert_eq!((reading.growth, reading.flags.as_slice()), (growth, flags), "{pages:?}");
}

fn hits(value: &str) -> String {
    format!("{HITS}{{engine=\"0\"}} {value}\n")
}

#[test]
fn a_counter_grows_from_the_last_page_before_to_the_last_after() {
    let (five, seven, nine, ten) = (hits("5"), hits("7"), hits("9"), hits("10"));
    check(&[(Before, &five), (During, &seven), (After, &nine), (After, &ten)], Some(5.0), &[]);
    check(&[(Before, &five), (Before, &seven), (After, &ten)], Some(3.0), &[]);
    check(&[(Before, &five), (After, &five)], Some(0.0), &[]);
}

#[test]
fn a_counter_that_falls_counts_anew_from_0_and_says_so() {
    let (five, three, four) = (hits("5"), hits("3"), hits("4"));
    check(
        &[(Before, &five), (During, &three), (After, &four)],
        Some(4.0),
        &[FigureFlag::Restarted],
    );
}

#[test]
fn a_counter_created_anew_has_restarted_even_if_it_is_larger() {
    let at = |hits: &str, created: &str| {
        format!(
            "{HITS}{{engine=\"0\"}} {hits}\nvllm:prefix_cache_hits_created{{engine=\"0\"}} {created}\n"
        )
    };
    let restarted = [FigureFlag::Restarted];
    check(&[(Before, &at("5", "1e9")), (After, &at("8", "2e9"))], Some(8.0), &restarted);
    check(&[(Before, &at("5", "1e9")), (After, &at("8", "1e9"))], Some(3.0), &[]);
}

#[test]
fn a_restart_during_the_warm_up_is_the_warm_ups() {
    let (five, three, four) = (hits("5"), hits("3"), hits("4"));
    check(&[(Start, &five), (Before, &three), (After, &four)], Some(1.0), &[]);
}

#[test]
fn a_series_that_appears_counts_from_0() {
    let (none, seven) = ("vllm:prompt_tokens_total 1\n", hits("7"));
    check(&[(Before, none), (During, none), (After, &seven)], Some(7.0), &[FigureFlag::Appeared]);
    let two = format!("{}{HITS}{{engine=\"1\"}} 2\n", hits("9"));
    check(&[(Before, &seven), (After, &two)], Some(4.0), &[FigureFlag::Appeared]);
}

#[test]
fn what_was_not_there_then_has_no_growth() {
    let (none, five, nan) = ("vllm:prompt_tokens_total 1\n", hits("5"), hits("NaN"));
    check(&[(During, &five), (After, &five)], None, &[FigureFlag::NoBefore]);
    check(&[(Before, &five), (During, &five)], None, &[FigureFlag::NoAfter]);
    check(&[(Before, &five), (After, none)], None, &[FigureFlag::Vanished]);
    check(&[(Before, &five), (After, &nan)], None, &[FigureFlag::NotANumber]);
    check(&[(Before, &nan), (After, &five)], None, &[FigureFlag::NotANumber]);
    check(&[(Before, &five), (During, &nan), (During, none), (After, &five)], Some(0.0), &[]);
}

#[test]
fn a_failure_is_told_and_ends_nothing() {
    let (five, nine) = (hits("5"), hits("9"));
    let figures = figures(&[
        ("u", Before, Ok(&five)),
        ("u", During, Err("timed out")),
        ("u", During, Err("refused")),
        ("u", After, Ok(&nine)),
    ]);
    assert_eq!(figures.growth(Figure::PrefixCacheHits), Some(4.0));
    let source = &figures.sources[0];
    assert_eq!((source.pages, source.failures), (2, 2));
    assert_eq!(source.first_failure.as_deref(), Some("timed out"));
}

#[test]
fn without_the_last_page_nothing_is_known_of_the_run() {
    let five = hits("5");
    let figures = figures(&[("u", Before, Ok(&five)), ("u", After, Err("refused"))]);
    let reading = figures.reading(Figure::PrefixCacheHits).unwrap();
    assert_eq!((reading.growth, reading.after), (None, None));
    assert_eq!((reading.before, reading.has(FigureFlag::NoAfter)), (Some(5.0), true));
    assert!(figures.reading(Figure::PrefixCacheQueries).is_none());
}

#[test]
fn the_warm_up_is_counted_apart() {
    let (one, five, nine) = (hits("1"), hits("5"), hits("9"));
    let figures =
        figures(&[("u", Start, Ok(&one)), ("u", Before, Ok(&five)), ("u", After, Ok(&nine))]);
    let reading = figures.reading(Figure::PrefixCacheHits).unwrap();
    assert_eq!((reading.warmup_growth, reading.growth), (Some(4.0), Some(4.0)));
    assert_eq!((reading.before, reading.after), (Some(5.0), Some(9.0)));
}

fn two_engines(hits: [u32; 2], usage: [f64; 2], running: [u32; 2]) -> String {
    let engine = |at: usize| {
        format!(
            "{HITS}{{engine=\"{at}\"}} {}\nvllm:kv_cache_usage_perc{{engine=\"{at}\"}} {}\n\
             vllm:num_requests_running{{engine=\"{at}\"}} {}\n",
            hits[at], usage[at], running[at]
        )
    };
    engine(0) + &engine(1)
}

#[test]
fn engines_are_added_up_and_kept_apart_too() {
    let before = two_engines([1, 10], [0.0, 0.1], [0, 0]);
    let during = two_engines([2, 30], [0.5, 0.2], [3, 1]);
    let after = two_engines([4, 50], [0.1, 0.3], [0, 1]);
    let figures = figures(&[
        ("u", Before, Ok(&before)),
        ("u", During, Ok(&during)),
        ("u", After, Ok(&after)),
    ]);
    let growths = |reading: &FigureReading| -> Vec<_> {
        reading.engines.iter().map(|one| (one.engine.clone(), one.growth, one.max)).collect()
    };
    let hits = figures.reading(Figure::PrefixCacheHits).unwrap();
    assert_eq!(hits.growth, Some(43.0));
    assert_eq!(growths(hits), [("0".into(), Some(3.0), None), ("1".into(), Some(40.0), None)]);
    let usage = figures.reading(Figure::KvUsage).unwrap();
    let during = usage.during.unwrap();
    assert_eq!((during.samples, during.min, during.max), (3, 0.1, 0.5));
    assert_eq!((usage.before, usage.after, usage.growth), (Some(0.1), Some(0.3), None));
    assert_eq!(growths(usage), [("0".into(), None, Some(0.5)), ("1".into(), None, Some(0.3))]);
    let running = figures.reading(Figure::RequestsRunning).unwrap();
    assert_eq!(running.during.unwrap().max, 4.0);
    assert_eq!(running.points.iter().map(|point| point.value).collect::<Vec<_>>(), [0.0, 4.0, 1.0]);
}

#[test]
fn several_servers_are_added_up_unless_one_is_not_known() {
    let (five, nine) = (hits("5"), hits("9"));
    let whole = figures(&[
        ("a", Before, Ok(&five)),
        ("b", Before, Ok(&five)),
        ("a", After, Ok(&nine)),
        ("b", After, Ok(&nine)),
    ]);
    let reading = whole.reading(Figure::PrefixCacheHits).unwrap();
    assert_eq!(reading.growth, Some(8.0));
    let engines: Vec<_> = reading.engines.iter().map(|one| one.engine.as_str()).collect();
    assert_eq!(engines, ["a 0", "b 0"]);
    let partial = figures(&[
        ("a", Before, Ok(&five)),
        ("b", Before, Ok(&five)),
        ("a", After, Ok(&nine)),
        ("b", After, Err("refused")),
    ]);
    assert_eq!(partial.growth(Figure::PrefixCacheHits), None);
}

#[test]
fn a_newer_name_goes_before_an_older_one_beside_it() {
    let page = |old: u32, new: Option<u32>| {
        let new = new.map(|new| format!("vllm:kv_offload_load_bytes_total {new}\n"));
        format!(
            "vllm:kv_offload_total_bytes_total{{transfer_type=\"CPU_to_GPU\"}} {old}\n{}",
            new.unwrap_or_default()
        )
    };
    let figures =
        figures(&[("u", Before, Ok(&page(10, None))), ("u", After, Ok(&page(30, Some(20))))]);
    assert_eq!(figures.growth(Figure::OffloadLoadBytes), Some(20.0));
}

#[test]
fn a_histogram_grows_in_count_sum_and_buckets() {
    let page = |counts: [u32; 3], sum: f64| {
        let name = "vllm:time_to_first_token_seconds";
        format!(
            "{name}_bucket{{le=\"0.1\"}} {}\n{name}_bucket{{le=\"1\"}} {}\n\
             {name}_bucket{{le=\"+Inf\"}} {}\n{name}_count {}\n{name}_sum {sum}\n",
            counts[0], counts[1], counts[2], counts[2]
        )
    };
    let (before, after) = (page([1, 2, 2], 0.5), page([4, 7, 8], 4.0));
    let figures = figures(&[("u", Before, Ok(&before)), ("u", After, Ok(&after))]);
    let reading = figures.reading(Figure::TtftSeconds).unwrap();
    let histogram = reading.histogram.as_ref().unwrap();
    assert_eq!((histogram.count, histogram.sum), (Some(6.0), Some(3.5)));
    assert_eq!(histogram.buckets, [(0.1, 3.0), (1.0, 5.0)]);
}

#[test]
fn the_engines_own_words_go_before_those_of_its_cache() {
    let page = |engine: u32, cache: u32| {
        format!("vllm:prompt_tokens_total {engine}\nlmcache:num_prompt_tokens_total {cache}\n")
    };
    let figures = figures(&[("u", Before, Ok(&page(0, 0))), ("u", After, Ok(&page(5, 7)))]);
    assert_eq!(figures.growth(Figure::PromptTokens), Some(5.0));
    assert_eq!(figures.sources[0].dialects, ["vllm", "lmcache"]);
    let all: Vec<_> = figures.readings.iter().map(|it| (it.dialect.as_str(), it.growth)).collect();
    assert_eq!(all, [("vllm", Some(5.0)), ("lmcache", Some(7.0))]);
}
