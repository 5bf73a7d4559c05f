//! Pages of real servers, and what is read from them.

#![allow(clippy::unwrap_used, reason = "what fails here has failed")]

use std::path::Path;

use turnbench_model::{
    Figure, FigureFlag, MetricsSample, Nanos, SampleMoment, Scrape, ServerFigures,
};
use turnbench_observe::text::{Entries, Entry};
use turnbench_observe::{FiguresBuilder, page};

fn body(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/metrics");
    let bytes = std::fs::read(folder.join(format!("{name}.prom.zst"))).unwrap();
    zstd::decode_all(&bytes[..]).unwrap()
}

/// Figures of pages of one URL: before, after.
fn figures(before: &[u8], after: &[u8]) -> ServerFigures {
    let mut builder = FiguresBuilder::default();
    for (moment, body) in [(SampleMoment::Before, before), (SampleMoment::After, after)] {
        builder.add(&MetricsSample {
            source: "http://server/metrics".into(),
            moment,
            at_ns: Nanos::ZERO,
            half_width_ns: Nanos::ZERO,
            scrape: Scrape::Page(page(body).unwrap()),
        });
    }
    builder.finish()
}

/// The values of a page.
fn check(name: &str, dialect: &str, expect: &[(Figure, f64)]) {
    let figures = figures(b"", &body(name));
    assert!(figures.sources[0].dialects.iter().any(|known| known == dialect), "{name}");
    for (figure, value) in expect {
        let mut readings = figures.readings.iter();
        let reading = readings.find(|it| it.figure == *figure && it.dialect == dialect);
        let reading = reading.unwrap_or_else(|| panic!("{name}: no {figure:?}"));
        assert_eq!(reading.after, Some(*value), "{name}: {figure:?}");
    }
}

#[test]
fn every_line_of_every_page_is_read() {
    // Families and samples as the Python client library for Prometheus counts them.
    for (name, families, samples) in [
        ("lmcache-0.5.6", 94, 441),
        ("sglang-0.5.23", 99, 604),
        ("tensorrt-llm-050f80d", 86, 272),
        ("vllm-0.32.0-kv_offload-cpu", 29, 242),
        ("vllm-0.32.0-kv_offload-tiering", 60, 424),
        ("vllm-0.32.0-nixl", 16, 75),
        ("vllm-0.32.0-simple_kv_offload", 7, 19),
        ("dynamo-1.6.1-frontend-after", 125, 808),
        ("dynamo-1.6.1-frontend-before", 97, 509),
        ("dynamo-1.6.1-worker", 28, 180),
        ("llama.cpp-11434-before", 15, 15),
        ("llama.cpp-11434-after", 15, 15),
    ] {
        let body = body(name);
        let mut entries = Entries::new(&body).unwrap();
        let (mut types, mut values) = (0, 0);
        for entry in entries.by_ref() {
            match entry {
                Entry::Type { .. } => types += 1,
                Entry::Sample(_) => values += 1,
                Entry::Help { .. } => {}
            }
        }
        assert_eq!((types, values, entries.bad_lines()), (families, samples, 0), "{name}");
    }
}

#[test]
fn vllm_growth_is_that_of_the_second_load() {
    let figures = figures(&body("vllm-0.32-after-load"), &body("vllm-0.32-after-second"));
    for (figure, growth) in [
        (Figure::PrefixCacheQueries, 6_006.0),
        (Figure::PrefixCacheHits, 5_376.0),
        (Figure::ExternalCacheQueries, 0.0),
        (Figure::PromptTokens, 6_006.0),
        (Figure::PromptTokensComputed, 630.0),
        (Figure::PromptTokensLocalCache, 5_376.0),
        (Figure::CachedTokens, 5_376.0),
        (Figure::CachedTokensDevice, 5_376.0),
        (Figure::CachedTokensHost, 0.0),
        (Figure::GenerationTokens, 2_700.0),
        (Figure::RequestsFinished, 18.0),
        (Figure::Preemptions, 0.0),
    ] {
        let reading = figures.reading(figure).unwrap();
        assert_eq!((reading.growth, reading.flags.len()), (Some(growth), 0), "{figure:?}");
    }
    let ttft = figures.reading(Figure::TtftSeconds).unwrap().histogram.as_ref().unwrap();
    assert_eq!(ttft.count, Some(18.0));
    assert!((ttft.sum.unwrap() - 0.521_195_173).abs() < 1e-6);
    assert_eq!(ttft.buckets.last().map(|(_, count)| *count), Some(18.0));
    assert!(figures.reading(Figure::OffloadLoadBytes).is_none());
}

#[test]
fn another_vllm_is_noticed_by_its_creation_times() {
    let figures = figures(&body("vllm-0.32-after-load"), &body("vllm-0.32-pressure-after"));
    let reading = figures.reading(Figure::PromptTokens).unwrap();
    assert_eq!((reading.growth, reading.has(FigureFlag::Restarted)), (Some(7_614.0), true));
}

#[test]
fn vllm_gauges_and_its_cache_are_read() {
    let pressure = [
        (Figure::RequestsRunning, 8.0),
        (Figure::RequestsWaiting, 8.0),
        (Figure::KvUsage, 0.888_888_888_888_888_8),
        (Figure::KvCapacityBlocks, 64.0),
        (Figure::KvBlockSize, 32.0),
        (Figure::KvCapacityTokens, 2_048.0),
    ];
    check("vllm-0.32-pressure-during", "vllm", &pressure);
    check("vllm-0.32-pressure-after", "vllm", &[(Figure::Preemptions, 5.0)]);
    check("vllm-0.32-idle", "vllm", &[(Figure::PromptTokens, 0.0)]);
}

#[test]
fn vllm_connectors_are_read() {
    let connector = [
        (Figure::ExternalCacheQueries, 696.0),
        (Figure::ExternalCacheHits, 320.0),
        (Figure::PromptTokensExternal, 320.0),
        (Figure::CachedTokensUnspecified, 320.0),
        (Figure::CachedTokensDevice, 416.0),
        (Figure::CachedTokens, 736.0),
    ];
    check("vllm-0.32-example-connector", "vllm", &connector);
    // Engines 0 and 1.
    let offload = figures(b"", &body("vllm-0.32.0-kv_offload-cpu"));
    let load = offload.reading(Figure::OffloadLoadBytes).unwrap();
    assert_eq!(load.engines.len(), 2);
    let sum: f64 = load.engines.iter().filter_map(|engine| engine.growth).sum();
    assert_eq!((load.growth, load.engines[0].growth), (Some(sum), Some(12_582_912.0)));
    // The part that is being moved, not the part that is used.
    assert!(offload.reading(Figure::HostKvUsage).is_none());
    let tiering = figures(b"", &body("vllm-0.32.0-kv_offload-tiering"));
    let read = tiering.reading(Figure::TierReadSeconds).unwrap();
    assert_eq!(read.engines[0].growth, Some(0.75));
    let tiers = [
        (Figure::OffloadLoadBytes, 37_748_736.0),
        (Figure::OffloadLoadSeconds, 2.25),
        (Figure::OffloadStoreBytes, 37_748_736.0),
        (Figure::OffloadStoreSeconds, 2.25),
        (Figure::OffloadChunkQueries, 111.0),
        (Figure::OffloadChunkHits, 63.0),
        (Figure::OffloadRefusedStores, 3.0),
        (Figure::TierChunkQueries, 111.0),
        (Figure::TierChunkHits, 63.0),
        (Figure::TierReadBytes, 37_748_736.0),
        (Figure::TierWriteSeconds, 2.25),
        (Figure::TierReadFailures, 3.0),
        (Figure::TierWriteFailures, 3.0),
    ];
    check("vllm-0.32.0-kv_offload-tiering", "vllm", &tiers);
    let nixl = [
        (Figure::TransferBytes, 20_971_520.0),
        (Figure::TransferSeconds, 0.024),
        (Figure::TransferFailures, 3.0),
    ];
    check("vllm-0.32.0-nixl", "vllm", &nixl);
    check("vllm-0.32.0-simple_kv_offload", "vllm", &[(Figure::HostCapacityBlocks, 8_192.0)]);
}

#[test]
fn sglang_is_read_with_its_tiers() {
    let expect = [
        (Figure::PromptTokens, 7_483.0),
        (Figure::PromptTokensComputed, 1_211.0),
        (Figure::CachedTokens, 6_272.0),
        (Figure::CachedTokensDevice, 3_392.0),
        (Figure::CachedTokensHost, 1_920.0),
        (Figure::CachedTokensDisk, 960.0),
        (Figure::GenerationTokens, 493.0),
        (Figure::RequestsFinished, 5.0),
        (Figure::KvUsage, 0.81),
        (Figure::KvCapacityTokens, 262_144.0),
        (Figure::KvBlockSize, 64.0),
        (Figure::HostUsedTokens, 480_256.0),
        (Figure::HostCapacityTokens, 524_288.0),
        (Figure::RequestsRunning, 7.0),
        (Figure::RequestsWaiting, 3.0),
        (Figure::Preemptions, 2.0),
        (Figure::OffloadLoadBytes, 251_658_240.0),
        (Figure::OffloadLoadSeconds, 0.013),
        (Figure::OffloadStoreBytes, 16_106_127_360.0),
        (Figure::TtftSeconds, 0.5),
    ];
    check("sglang-0.5.23", "sglang", &expect);
    // As an exporter rewrites the names.
    let renamed = String::from_utf8(body("sglang-0.5.23")).unwrap().replace("sglang:", "sglang_");
    let figures = figures(b"", renamed.as_bytes());
    assert_eq!(figures.growth(Figure::CachedTokensHost), Some(1_920.0));
}

#[test]
fn trtllm_is_read_with_its_tiers() {
    let expect = [
        (Figure::PromptTokens, 183_220.0),
        (Figure::CachedTokens, 117_984.0),
        (Figure::CachedTokensDevice, 98_304.0),
        (Figure::CachedTokensHost, 19_680.0),
        (Figure::CachedTokensDisk, 0.0),
        (Figure::GenerationTokens, 20_911.0),
        (Figure::KvUsage, 0.42),
        (Figure::HostKvUsage, 0.18),
        (Figure::KvCapacityBlocks, 12_288.0),
        (Figure::KvBlockSize, 32.0),
        (Figure::RequestsRunning, 6.0),
        (Figure::RequestsWaiting, 1.0),
        (Figure::RequestsFinished, 84.0),
        (Figure::OffloadLoadBytes, 805_306_368.0),
        (Figure::OffloadStoreBytes, 1_610_612_736.0),
        (Figure::QueueSeconds, 0.91),
        (Figure::PrefillSeconds, 0.36),
        (Figure::DecodeSeconds, 6.4),
        (Figure::TtftSeconds, 1.69),
    ];
    check("tensorrt-llm-050f80d", "trtllm", &expect);
}

#[test]
fn lmcache_is_read() {
    let expect = [
        (Figure::ExternalCacheQueries, 90_112.0),
        (Figure::ExternalCacheHits, 51_200.0),
        (Figure::PromptTokens, 93_011.0),
        (Figure::PrefixCacheHits, 20_480.0),
        (Figure::HostUsedBytes, 4_831_838_208.0),
        (Figure::OffloadLoadSeconds, 0.784),
        (Figure::TierReadBytes, 7.0),
    ];
    check("lmcache-0.5.6", "lmcache", &expect);
}

#[test]
fn llama_cpp_tells_computed_and_cached_tokens_apart() {
    let figures = figures(&body("llama.cpp-11434-before"), &body("llama.cpp-11434-after"));
    assert_eq!(figures.growth(Figure::PromptTokensComputed), Some(1_341.0));
    assert_eq!(figures.growth(Figure::CachedTokens), Some(770.0));
    assert_eq!(figures.growth(Figure::GenerationTokens), Some(216.0));
    let prefill = figures.reading(Figure::PrefillSeconds).unwrap();
    let histogram = prefill.histogram.as_ref().unwrap();
    assert_eq!((histogram.sum, histogram.count), (Some(0.072_87), None));
    assert!(figures.reading(Figure::PromptTokens).is_none());
}

#[test]
fn dynamo_frontends_show_figures_once_there_are_requests() {
    let before = body("dynamo-1.6.1-frontend-before");
    let figures = figures(&before, &body("dynamo-1.6.1-frontend-after"));
    for (figure, growth) in [
        (Figure::PromptTokens, 1_385.0),
        (Figure::CachedTokens, 704.0),
        (Figure::GenerationTokens, 171.0),
        (Figure::RequestsFinished, 20.0),
    ] {
        let reading = figures.reading(figure).unwrap();
        assert_eq!((reading.growth, reading.has(FigureFlag::Appeared)), (Some(growth), true));
    }
    check("dynamo-1.6.1-frontend-after", "dynamo", &[(Figure::KvBlockSize, 16.0)]);
    // It shows the blocks of one worker, however many there are.
    assert!(figures.reading(Figure::KvCapacityBlocks).is_none());
    // A mocker's worker has vLLM's names, the older one of the usage beside the newer.
    check("dynamo-1.6.1-worker", "vllm", &[(Figure::KvUsage, 0.007_812_5)]);
}

#[test]
fn an_engine_and_its_cache_on_one_page_are_both_known() {
    let page = [body("vllm-0.32-after-load"), body("lmcache-0.5.6")].concat();
    let figures = figures(b"", &page);
    assert_eq!(figures.sources[0].dialects, ["vllm", "lmcache"]);
    assert_eq!(figures.reading(Figure::PromptTokens).unwrap().after, Some(6_006.0));
    let (hits, queries) =
        figures.pair(Figure::PrefixCacheHits, Figure::PrefixCacheQueries).unwrap();
    assert_eq!((hits.after, queries.after), (Some(2_432.0), Some(6_006.0)));
}
