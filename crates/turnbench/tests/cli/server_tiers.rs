//! What a run reads of a server with three tiers, beside what that server knows to be true; and of one
//! that lies.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::bin::{root, turnbench};
use crate::support::case::ended;
use crate::support::served::{Served, truth};

/// The tiers, with their names in the figures, and blocks of 2 MiB that they hold.
const TIERS: [(&str, &str, u64); 3] =
    [("host", "host", 96), ("disk", "disk", 160), ("p2p", "peer", 512)];

/// Eight conversations that take turns, each longer than before: what the device gave up is in the
/// host first, then no longer in the host, then on another machine only.
fn workload() -> Value {
    let shared = "all of them begin alike ".repeat(12);
    let conversation = |number: usize| {
        let turns = (1..=4).flat_map(|turn| {
            let start = if turn == 1 { shared.as_str() } else { "" };
            let own = format!("question {turn} of {number}, ").repeat(10);
            let answer = format!("answer {turn} of {number}, ").repeat(4);
            [
                json!({"role": "user", "content": format!("{start}{own}")}),
                json!({"role": "assistant", "content": answer}),
            ]
        });
        json!({"id": format!("c{number}"), "messages": turns.collect::<Vec<_>>()})
    };
    (0..8).map(conversation).collect()
}

/// What a server with these flags was seen to do.
struct Seen {
    report: Value,
    /// Lines of its requests.
    requests: Vec<Value>,
    /// What it knows of its tiers, the device first.
    tiers: Vec<Value>,
}

impl Seen {
    fn of(folder: &Path, more: &[&str]) -> Self {
        std::fs::write(folder.join("list.json"), workload().to_string()).unwrap();
        let speed = "load=20GiB/s,store=20GiB/s";
        let tiers: Vec<_> = TIERS
            .iter()
            .map(|(name, _, blocks)| format!("{name}:{}MiB,{speed}", blocks * 2))
            .collect();
        let tiers: Vec<_> = tiers.iter().flat_map(|tier| ["--tier", tier]).collect();
        let flags = ["--kv-blocks", "64", "--truth", "truth.jsonl"];
        let server = Served::start(folder, &[&flags, &*tiers, more].concat());
        let mut command = turnbench(folder);
        command.args(["run", "-i", "list.json", "-m"]).arg(root().join("testdata/tokenizer/bpe"));
        command.args(["--served-model-name", "sim", "--url", &server.url, "--run-dir", "run"]);
        let run = ended(command.args(["-p", "1", "-k", "8", "--metrics-interval", "0.05"]));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_eq!(server.interrupt().0, Some(0));
        let text = std::fs::read_to_string(folder.join("run/report.json")).unwrap();
        let mut requests = truth(&folder.join("truth.jsonl"));
        let tiers = requests.pop().unwrap()["tiers"].as_array().unwrap().clone();
        assert_eq!(requests.len(), 32);
        Self { report: serde_json::from_str(&text).unwrap(), requests, tiers }
    }

    /// What a counter grew by; `None`: not reported.
    fn growth(&self, figure: &str) -> Option<f64> {
        let readings = self.report["server"]["figures"]["readings"].as_array().unwrap();
        let reading = readings.iter().find(|reading| reading["figure"] == figure)?;
        Some(reading["growth"].as_f64().unwrap_or_else(|| panic!("{reading}")))
    }

    /// True cached tokens of a tier.
    fn cached(&self, tier: &str) -> f64 {
        let of = |it: &Value| it["cached_tokens_by_tier"][tier].as_u64().unwrap();
        self.requests.iter().map(of).sum::<u64>() as f64
    }

    fn sum(&self, key: &str) -> f64 {
        self.requests.iter().map(|it| it[key].as_u64().unwrap()).sum::<u64>() as f64
    }

    /// True sum over the tiers behind the device from this place on.
    fn moved(&self, from: usize, key: &str) -> f64 {
        self.tiers[from..].iter().map(|tier| tier[key].as_u64().unwrap()).sum::<u64>() as f64
    }
}

#[test]
fn the_counters_of_every_tier_grow_by_what_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::of(folder.path(), &[]);
    let behind: f64 = TIERS.iter().map(|(tier, _, _)| seen.cached(tier)).sum();
    for (tier, figure) in
        TIERS.iter().map(|(tier, figure, _)| (*tier, *figure)).chain([("device", "device")])
    {
        assert!(seen.cached(tier) > 0.0, "the workload does not reach {tier}");
        let growth = seen.growth(&format!("cached_tokens_{figure}"));
        assert_eq!(growth, Some(seen.cached(tier)), "{tier}");
        let tiers = seen.report["server"]["tiers"].as_array().unwrap();
        let share = tiers.iter().find(|share| share["tier"] == figure).unwrap();
        assert_eq!(share["tokens"].as_f64(), growth, "{share}");
        assert_eq!(share["ratio"], growth.unwrap() / seen.sum("prompt_tokens"), "{share}");
    }
    let device = seen.cached("device");
    // One place further out, the first tier is not counted among those behind it.
    for (figure, expect) in [
        ("prompt_tokens", seen.sum("prompt_tokens")),
        ("prompt_tokens_computed", seen.sum("computed_tokens")),
        ("prompt_tokens_local_cache", device),
        ("prompt_tokens_external", behind),
        ("cached_tokens", device + behind),
        ("prefix_cache_queries", seen.sum("prompt_tokens")),
        ("prefix_cache_hits", device),
        ("external_cache_queries", seen.sum("prompt_tokens") - device),
        ("external_cache_hits", behind),
        ("offload_load_bytes", seen.moved(1, "loaded_bytes")),
        ("offload_store_bytes", seen.tiers[1]["stored_bytes"].as_f64().unwrap()),
        ("tier_read_bytes", seen.moved(2, "loaded_bytes")),
        ("tier_write_bytes", seen.moved(2, "stored_bytes")),
        ("offload_chunk_hits", seen.cached("host") / 16.0),
        ("tier_chunk_hits", (seen.cached("disk") + seen.cached("p2p")) / 16.0),
    ] {
        assert_eq!(seen.growth(figure), Some(expect), "{figure}");
    }
    for (figure, key, from) in [
        ("offload_load_seconds", "load_ns", 1),
        ("tier_read_seconds", "load_ns", 2),
        ("tier_write_seconds", "store_ns", 2),
    ] {
        let (growth, expect) = (seen.growth(figure).unwrap(), seen.moved(from, key) / 1e9);
        assert!((growth - expect).abs() < 1e-9, "{figure}: {growth}, {expect}");
    }
}

#[test]
fn counters_that_lie_differ_from_the_truth_by_their_factor() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::of(folder.path(), &["--fault", "wrong-counters=1.5"]);
    let lie = |truth: f64| Some((truth * 1.5).floor());
    let behind: f64 = TIERS.iter().map(|(tier, _, _)| seen.cached(tier)).sum();
    for (tier, figure, _) in TIERS {
        assert!(seen.cached(tier) > 0.0, "the workload does not reach {tier}");
        assert_eq!(seen.growth(&format!("cached_tokens_{figure}")), lie(seen.cached(tier)));
    }
    for (figure, truth) in [
        ("cached_tokens", seen.cached("device") + behind),
        ("prefix_cache_hits", seen.cached("device")),
        ("external_cache_hits", behind),
        ("offload_store_bytes", seen.tiers[1]["stored_bytes"].as_f64().unwrap()),
    ] {
        assert_eq!(seen.growth(figure), lie(truth), "{figure}");
    }
    // What was asked for is told right.
    assert_eq!(seen.growth("prompt_tokens"), Some(seen.sum("prompt_tokens")));
    assert_eq!(seen.growth("prefix_cache_queries"), Some(seen.sum("prompt_tokens")));
    // Usage lies as the counters do, answer by answer.
    let usage = seen.report["cache"]["cached_tokens"].as_f64().unwrap();
    let answers = seen.requests.iter().map(|it| it["cached_tokens"].as_f64().unwrap());
    assert_eq!(usage, answers.map(|truth| (truth * 1.5).floor()).sum::<f64>());
}

#[test]
fn tiers_that_store_nothing_are_written_to_and_never_hit() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::of(folder.path(), &["--fault", "stores-nothing"]);
    assert_eq!(seen.growth("cached_tokens_device"), Some(seen.cached("device")));
    for (tier, figure, _) in TIERS {
        assert_eq!(seen.growth(&format!("cached_tokens_{figure}")), Some(0.0), "{tier}");
    }
    assert_eq!(seen.growth("external_cache_hits"), Some(0.0));
    let missed = seen.sum("prompt_tokens") - seen.cached("device");
    assert_eq!(seen.growth("external_cache_queries"), Some(missed));
    let stored = seen.tiers[1]["stored_bytes"].as_f64();
    assert!(stored > Some(0.0));
    assert_eq!(seen.growth("offload_store_bytes"), stored);
    // As in vLLM, no load has no counter.
    assert_eq!(seen.growth("offload_load_bytes"), None);
    assert_eq!(seen.growth("tier_read_bytes"), Some(0.0));
}
