//! Nothing counts twice, whatever pages tell of the same thing; and nothing is claimed of what cannot be
//! told apart.

#![allow(clippy::unwrap_used, reason = "what fails here has failed")]

use std::path::Path;

use SampleMoment::{After, Before, During};
use turnbench_model::{
    Figure, FigureFlag, MetricsSample, Nanos, SampleMoment, Scrape, ServerFigures,
};
use turnbench_observe::{FiguresBuilder, SERIES_MAX, page};

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/metrics");
    let bytes = std::fs::read(folder.join(format!("{name}.prom.zst"))).unwrap();
    String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap()
}

/// Figures of pages of (URL, moment, text); no text: the question failed.
fn figures(pages: &[(&str, SampleMoment, Option<&str>)]) -> ServerFigures {
    let mut builder = FiguresBuilder::default();
    for (at, (source, moment, text)) in pages.iter().enumerate() {
        builder.add(&MetricsSample {
            source: (*source).into(),
            moment: *moment,
            at_ns: Nanos(at as u64),
            half_width_ns: Nanos::ZERO,
            scrape: text.map_or(Scrape::Failed("refused".to_owned()), |text| {
                Scrape::Page(page(text.as_bytes()).unwrap())
            }),
        });
    }
    builder.finish()
}

/// Figures of several pages, before and after.
fn growth(pages: &[(&str, &str, &str)]) -> ServerFigures {
    let before = pages.iter().map(|(url, before, _)| (*url, Before, Some(*before)));
    let after = pages.iter().map(|(url, _, after)| (*url, After, Some(*after)));
    figures(&before.chain(after).collect::<Vec<_>>())
}

fn flags(figures: &ServerFigures, figure: Figure) -> &[FigureFlag] {
    let reading = figures.readings.iter().find(|reading| reading.figure == figure).unwrap();
    &reading.flags
}

/// Two pages of a live vLLM, between which it answered 18 requests with 6,006 prompt tokens.
fn vllm() -> (String, String) {
    (fixture("vllm-0.32-after-load"), fixture("vllm-0.32-after-second"))
}

/// The same, of another server.
fn another((before, after): &(String, String)) -> (String, String) {
    let moved = |page: &str| {
        let lines = page.lines().map(|line| match line.split_once("} ") {
            Some((name, value)) if name.contains("_created{") => {
                format!("{name}}} {}", value.parse::<f64>().unwrap() + 17.123_456_7)
            }
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    (moved(before), moved(after))
}

#[test]
fn a_server_under_two_urls_counts_once() {
    let (before, after) = vllm();
    let figures = growth(&[("a", &before, &after), ("b", &before, &after)]);
    assert_eq!(figures.growth(Figure::PromptTokens), Some(6_006.0));
    assert_eq!(flags(&figures, Figure::PromptTokens), [FigureFlag::CountedOnce]);
    let ttft = figures.reading(Figure::TtftSeconds).unwrap().histogram.as_ref().unwrap();
    assert_eq!((ttft.count, ttft.buckets.last().unwrap().1), (Some(18.0), 18.0));
    let capacity = figures.reading(Figure::KvCapacityTokens).unwrap();
    let one = growth(&[("a", &before, &after)]);
    assert_eq!(capacity.after, one.reading(Figure::KvCapacityTokens).unwrap().after);
    assert_eq!(capacity.during, one.reading(Figure::KvCapacityTokens).unwrap().during);
}

#[test]
fn two_servers_that_did_the_same_count_both() {
    let one = vllm();
    let other = another(&one);
    let figures = growth(&[("a", &one.0, &one.1), ("b", &other.0, &other.1)]);
    assert_eq!(figures.growth(Figure::PromptTokens), Some(12_012.0));
    assert_eq!(flags(&figures, Figure::PromptTokens), []);
}

/// What a router shows of its workers: their series under a label more, and nothing else.
fn aggregate(workers: &[&str], label: &str) -> String {
    let lines = workers.iter().enumerate().flat_map(|(at, page)| {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines.map(move |line| line.replacen('{', &format!("{{{label}=\"worker-{at}\","), 1))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_router_that_shows_its_workers_counts_with_them_once() {
    let one = vllm();
    let other = another(&one);
    let router =
        |label| (aggregate(&[&one.0, &other.0], label), aggregate(&[&one.1, &other.1], label));
    for label in ["worker_addr", "some_label"] {
        let (before, after) = router(label);
        let pages =
            [("r", &*before, &*after), ("a", &*one.0, &*one.1), ("b", &*other.0, &*other.1)];
        for turn in 0..3 {
            let mut pages = pages;
            pages.rotate_left(turn);
            let figures = growth(&pages);
            assert_eq!(figures.growth(Figure::PromptTokens), Some(12_012.0), "{label} {turn}");
            let requests = figures.reading(Figure::RequestsRunning).unwrap();
            assert_eq!(requests.during.unwrap().samples, 2, "{label} {turn}");
        }
        // One of the workers alone beside it.
        let figures = growth(&[("a", &one.0, &one.1), ("r", &before, &after)]);
        assert_eq!(figures.growth(Figure::PromptTokens), Some(12_012.0), "{label}");
    }
}

#[test]
fn a_router_that_shows_its_workers_without_creation_times_claims_nothing() {
    let page = |tokens: u32, seconds: f64, label: &str| {
        format!(
            "sglang:prompt_tokens_total{{{label}}} {tokens}\n\
             sglang:time_to_first_token_seconds_sum{{{label}}} {seconds}\n\
             sglang:time_to_first_token_seconds_count{{{label}}} 9\n"
        )
    };
    let (before, after) = (page(10, 0.123_456_7, ""), page(70, 3.241_592_6, ""));
    let shown = |tokens, seconds| page(tokens, seconds, "worker_addr=\"w\"");
    let (old, new) = (shown(10, 0.123_456_7), shown(70, 3.241_592_6));
    let figures = growth(&[("a", &before, &after), ("r", &old, &new)]);
    assert_eq!(figures.growth(Figure::PromptTokens), None);
    assert_eq!(flags(&figures, Figure::PromptTokens), [FigureFlag::Repeated]);
    // Two workers that took other times.
    let (old, new) = (page(10, 0.223_456_7, ""), page(70, 3.2, ""));
    let figures = growth_of_two(&before, &after, &old, &new);
    assert_eq!(figures.growth(Figure::PromptTokens), Some(120.0));
}

fn growth_of_two(before: &str, after: &str, old: &str, new: &str) -> ServerFigures {
    growth(&[("a", before, after), ("b", old, new)])
}

#[test]
fn ranks_of_an_engine_count_once_but_for_their_bytes() {
    let page = |tokens: u32| {
        let rank = |rank: u32| {
            let labels = format!("dp_rank=\"0\",pp_rank=\"0\",tp_rank=\"{rank}\"");
            format!(
                "sglang:prompt_tokens_total{{{labels}}} {tokens}\n\
                 sglang:max_total_num_tokens{{{labels}}} 4096\n\
                 sglang:load_back_bytes_total{{{labels}}} {}\n",
                tokens * 2
            )
        };
        let other = rank(0).replace("dp_rank=\"0\"", "dp_rank=\"1\"");
        rank(0) + &rank(1) + &rank(10) + &other
    };
    let (before, after) = (page(10), page(60));
    let figures = growth(&[("a", &before, &after)]);
    // Two engines, the first with three ranks.
    let prompt = figures.reading(Figure::PromptTokens).unwrap();
    assert_eq!(prompt.growth, Some(100.0));
    assert_eq!(prompt.flags, [FigureFlag::CountedOnce]);
    let engines: Vec<_> = prompt.engines.iter().map(|it| (&*it.engine, it.growth)).collect();
    assert_eq!(engines, [("0", Some(50.0)), ("1", Some(50.0))]);
    let capacity = figures.reading(Figure::KvCapacityTokens).unwrap();
    assert_eq!((capacity.after, capacity.during.unwrap().max), (Some(8_192.0), 8_192.0));
    assert_eq!(figures.growth(Figure::OffloadLoadBytes), Some(400.0));
}

#[test]
fn workers_of_one_page_with_the_same_engine_number_are_told_apart() {
    let page = |tokens: [u32; 2]| {
        let worker = |at: usize| {
            let labels = format!("engine=\"0\",worker_addr=\"w{at}\"");
            format!("vllm:prompt_tokens_total{{{labels}}} {}\n", tokens[at])
        };
        worker(0) + &worker(1)
    };
    let figures = growth(&[("r", &page([1, 2]), &page([11, 32]))]);
    let engines = &figures.reading(Figure::PromptTokens).unwrap().engines;
    let engines: Vec<_> = engines.iter().map(|it| (&*it.engine, it.growth)).collect();
    assert_eq!(engines, [("w0 0", Some(10.0)), ("w1 0", Some(30.0))]);
}

#[test]
fn a_prompt_that_passes_from_engine_to_engine_is_not_claimed_twice() {
    let page = |tokens: u32, nixl: u32| {
        format!(
            "vllm:prompt_tokens_total {tokens}\nvllm:prompt_tokens_cached_total {tokens}\n\
             vllm:nixl_bytes_transferred_sum {nixl}\nvllm:kv_cache_usage_perc 0.5\n"
        )
    };
    let frontend = |tokens: u32| format!("dynamo_frontend_input_sequence_tokens_sum {tokens}\n");
    let (none, prefill, decode) = (page(0, 0), page(100, 0), page(100, 4096));
    let figures = growth(&[("p", &none, &prefill), ("d", &none, &decode)]);
    assert_eq!(figures.growth(Figure::PromptTokens), None);
    assert_eq!(flags(&figures, Figure::CachedTokens), [FigureFlag::Repeated]);
    assert_eq!(figures.growth(Figure::TransferBytes), Some(4_096.0));
    assert_eq!(figures.reading(Figure::KvUsage).unwrap().after, Some(0.5));
    // The frontend has each prompt once.
    let (old, new) = (frontend(7), frontend(107));
    let figures = growth(&[("p", &none, &prefill), ("d", &none, &decode), ("f", &old, &new)]);
    assert_eq!(figures.growth(Figure::PromptTokens), Some(100.0));
    // Alone each of them has it once, and so have two between which nothing passes.
    assert_eq!(growth(&[("d", &none, &decode)]).growth(Figure::PromptTokens), Some(100.0));
    let figures = growth(&[("p", &none, &prefill), ("q", &none, &prefill)]);
    assert_eq!(figures.growth(Figure::PromptTokens), Some(200.0));

    let sglang = |stage: &str, tokens: u32| {
        format!("sglang:prompt_tokens_total{{engine_type=\"{stage}\"}} {tokens}\n")
    };
    let pages = |stage: &str| (sglang(stage, 5), sglang(stage, 25));
    let (prefill, decode) = (pages("prefill"), pages("decode"));
    let figures = growth(&[("p", &prefill.0, &prefill.1), ("d", &decode.0, &decode.1)]);
    assert_eq!(figures.growth(Figure::PromptTokens), None);
}

#[test]
fn servers_that_answer_in_turn_have_no_growth() {
    let page = |tokens: u32, created: f64| {
        format!("vllm:prompt_tokens_total {tokens}\nvllm:prompt_tokens_created {created}\n")
    };
    let (one, other) = (page(1_000_000, 2e9), page(900_000, 1e9));
    let pages = [(Before, &one), (During, &other), (During, &one), (After, &other)];
    let pages: Vec<_> = pages.iter().map(|(at, text)| ("u", *at, Some(text.as_str()))).collect();
    assert_eq!(figures(&pages).growth(Figure::PromptTokens), None);
    // Without creation times it falls again and again.
    let counts = [100, 50, 101, 51, 102, 52, 103, 53, 104];
    let texts = counts.map(|count| format!("vllm:prompt_tokens_total {count}\n"));
    let moment = |at| if at == 0 { Before } else { After };
    let pages: Vec<_> =
        texts.iter().enumerate().map(|(at, text)| ("u", moment(at), Some(&**text))).collect();
    let figures = figures(&pages);
    assert_eq!(figures.growth(Figure::PromptTokens), None);
    let expect = [FigureFlag::Restarted, FigureFlag::Alternating];
    assert_eq!(flags(&figures, Figure::PromptTokens), expect);
}

#[test]
fn a_creation_time_that_is_not_a_number_makes_no_restart() {
    let page = |tokens: u32| {
        format!("vllm:prompt_tokens_total {tokens}\nvllm:prompt_tokens_created NaN\n")
    };
    let (first, then, last) = (page(1_000), page(1_010), page(1_020));
    let figures = figures(&[
        ("u", Before, Some(&first)),
        ("u", During, Some(&then)),
        ("u", After, Some(&last)),
    ]);
    assert_eq!(figures.growth(Figure::PromptTokens), Some(20.0));
}

#[test]
fn a_counter_without_end_is_not_known_and_says_so() {
    for value in ["+Inf", "-Inf"] {
        let text = format!("vllm:prompt_tokens_total {value}\n");
        let figures = growth(&[("u", "vllm:prompt_tokens_total 5\n", &text)]);
        let reading = figures.reading(Figure::PromptTokens).unwrap();
        assert_eq!((reading.growth, reading.flags.len()), (None, 1), "{value}");
    }
}

#[test]
fn a_gauge_is_noted_once_for_all_servers_that_are_asked_together() {
    let page = |running: u32| format!("vllm:num_requests_running {running}\n");
    let (none, three, five) = (page(0), page(3), page(5));
    let running = |pages: &[(&str, SampleMoment, Option<&str>)]| {
        figures(pages).reading(Figure::RequestsRunning).unwrap().clone()
    };
    let reading = running(&[
        ("a", Before, Some(&none)),
        ("b", Before, Some(&three)),
        ("a", During, Some(&five)),
        ("b", During, Some(&none)),
        ("a", After, Some(&none)),
        ("b", After, Some(&none)),
    ]);
    let values: Vec<_> = reading.points.iter().map(|point| point.value).collect();
    assert_eq!(values, [3.0, 5.0, 0.0]);
    let during = reading.during.unwrap();
    assert_eq!((during.samples, during.max), (3, 5.0));
    // Where one of them gives no answer, the sum is not known.
    let reading = running(&[
        ("a", Before, Some(&none)),
        ("b", Before, Some(&three)),
        ("a", During, Some(&five)),
        ("b", During, None),
        ("a", After, Some(&none)),
        ("b", After, Some(&none)),
    ]);
    assert_eq!(reading.during.unwrap().samples, 2);
    let values: Vec<_> = reading.points.iter().map(|point| point.value).collect();
    assert_eq!(values, [3.0, 0.0]);
}

#[test]
fn the_value_before_is_that_of_all_servers_or_none() {
    let (five, nine) = ("vllm:prompt_tokens_total 5\n", "vllm:prompt_tokens_total 9\n");
    let figures = figures(&[
        ("a", Before, Some(five)),
        ("b", Before, None),
        ("a", After, Some(nine)),
        ("b", After, Some(nine)),
    ]);
    let reading = figures.reading(Figure::PromptTokens).unwrap();
    assert_eq!((reading.before, reading.after, reading.growth), (None, Some(18.0), None));
}

#[test]
fn what_is_brought_up_to_date_now_and_then_says_so() {
    let page = |count: u32| format!("lmcache:num_lookup_tokens_total {count}\n");
    let figures = growth(&[("u", &page(3), &page(8))]);
    assert_eq!(figures.growth(Figure::ExternalCacheQueries), Some(5.0));
    assert_eq!(flags(&figures, Figure::ExternalCacheQueries), [FigureFlag::Lagging]);
}

#[test]
fn series_that_come_and_go_take_no_memory_without_end() {
    const SERIES: usize = 100_000;
    let mut builder = FiguresBuilder::default();
    let look = |round: usize| {
        let lines = (0..SERIES)
            .map(|at| format!("vllm:prompt_tokens_total{{request=\"{round}-{at}\"}} 1\n"));
        MetricsSample {
            source: "u".into(),
            moment: if round == 0 { Before } else { During },
            at_ns: Nanos(round as u64),
            half_width_ns: Nanos::ZERO,
            scrape: Scrape::Page(page(lines.collect::<String>().as_bytes()).unwrap()),
        }
    };
    for round in 0..3 {
        builder.add(&look(round));
    }
    let figures = builder.finish();
    assert_eq!(figures.sources[0].left_out, 3 * SERIES as u64 - SERIES_MAX as u64);
}
