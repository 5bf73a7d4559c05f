//! `turnbench cache tiers` against servers whose sizes and speeds are hidden from it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::bin::turnbench;
use crate::support::case::{Ended, ended, records};
use crate::support::schema;
use crate::support::served::{Served, in_three_tries};
use crate::support::stub::{Behaviour, Stub};

/// Bytes of a token.
const TOKEN_BYTES: f64 = 131_072.0;

/// A hidden tier: its size and its speed.
#[derive(Clone, Copy)]
struct Tier {
    kind: &'static str,
    tokens: f64,
    tokens_per_sec: f64,
    store_tokens_per_sec: f64,
}

impl Tier {
    fn flag(&self) -> String {
        let Self { kind, tokens, tokens_per_sec, store_tokens_per_sec } = self;
        let kib = |tokens: f64| format!("{:.0}KiB", tokens * TOKEN_BYTES / 1024.0);
        format!(
            "{kind}:{},load={}/s,store={}/s",
            kib(*tokens),
            kib(*tokens_per_sec),
            kib(*store_tokens_per_sec)
        )
    }
}

/// A hidden server.
struct Hidden {
    kv_blocks: u32,
    prefill_tokens_per_sec: f64,
    tiers: Vec<Tier>,
}

impl Hidden {
    /// Somewhere in the ranges that keep a test short.
    fn random(seed: u64, tiers_count: usize) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut between = |low: f64, high: f64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            low * (high / low).powf((state >> 11) as f64 / (1_u64 << 53) as f64)
        };
        let kv_blocks = between(400.0, 650.0) as u32;
        let prefill_tokens_per_sec = between(16_000.0, 26_000.0);
        let mut tokens = f64::from(kv_blocks) * 16.0;
        let mut tokens_per_sec = prefill_tokens_per_sec * between(5.0, 8.0);
        let mut tiers = Vec::new();
        for kind in ["host", "disk"].into_iter().take(tiers_count) {
            tokens *= between(2.1, 2.8);
            let store_tokens_per_sec = prefill_tokens_per_sec * between(1.0, 6.0);
            tiers.push(Tier { kind, tokens, tokens_per_sec, store_tokens_per_sec });
            tokens_per_sec /= between(3.0, 4.0);
        }
        Self { kv_blocks, prefill_tokens_per_sec, tiers }
    }

    fn start(&self, folder: &Path, more: &[&str]) -> Served {
        let mut flags: Vec<String> =
            ["--kv-blocks", &self.kv_blocks.to_string()].map(str::to_owned).into();
        let prefill = self.prefill_tokens_per_sec.to_string();
        flags.extend(["--prefill-tokens-per-sec".to_owned(), prefill]);
        for tier in &self.tiers {
            flags.extend(["--tier".to_owned(), tier.flag()]);
        }
        let flags: Vec<&str> =
            flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Served::start_tiered(folder, &flags)
    }
}

fn probe(folder: &Path, server: &Served, more: &[&str]) -> Ended {
    let fixed =
        ["cache", "tiers", "--url", &server.url, "--run-dir", "run", "--json", "tiers.json"];
    ended(turnbench(folder).args(fixed).args(more))
}

/// Probes a server to the end; what it printed, and its report.
fn probed(server: &Served, folder: &TempDir, more: &[&str]) -> (String, Value) {
    let run = probe(folder.path(), server, more);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let text = std::fs::read_to_string(folder.path().join("tiers.json")).unwrap();
    let report = serde_json::from_str(&text).unwrap();
    schema::check("tiers-report", &report);
    // As one line, so that what it says is found wherever it is broken.
    (run.stdout.split_whitespace().collect::<Vec<_>>().join(" "), report)
}

fn close(what: &str, found: &Value, hidden: f64, text: &str) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{what} is missing: {text}"));
    assert!((found / hidden - 1.0).abs() <= 0.1, "{what}: found {found}, hidden {hidden}: {text}");
}

/// Everything that is hidden is found within 10 %.
fn check(hidden: &Hidden, more: &[&str], serve: &[&str]) -> (String, Value) {
    in_three_tries(|| check_once(hidden, more, serve))
}

fn check_once(hidden: &Hidden, more: &[&str], serve: &[&str]) -> (String, Value) {
    let folder = tempfile::tempdir().unwrap();
    let server = hidden.start(folder.path(), serve);
    let bytes = TOKEN_BYTES.to_string();
    let (text, report) =
        probed(&server, &folder, &[&["--kv-bytes-per-token", &bytes], more].concat());
    let levels = report["levels"].as_array().unwrap();
    assert_eq!(levels.len(), 1 + hidden.tiers.len(), "{text}");
    let device_tokens = f64::from(hidden.kv_blocks - 1) * 16.0;
    close("device", &levels[0]["reach"]["tokens"], device_tokens, &text);
    close("device bytes", &levels[0]["reach"]["bytes"], device_tokens * TOKEN_BYTES, &text);
    let recompute = &report["recompute"]["tokens_per_sec"]["value"];
    close("recompute", recompute, hidden.prefill_tokens_per_sec, &text);
    for (tier, level) in hidden.tiers.iter().zip(&levels[1..]) {
        close(tier.kind, &level["reach"]["tokens"], tier.tokens, &text);
        let reload = &level["reload"];
        close(tier.kind, &reload["tokens_per_sec"]["value"], tier.tokens_per_sec, &text);
        close(tier.kind, &reload["bytes_per_sec"], tier.tokens_per_sec * TOKEN_BYTES, &text);
    }
    assert_eq!((&report["end"]["how"], &report["end_found"]), (&"complete".into(), &true.into()));
    let kept = records(&folder.path().join("run"));
    assert_eq!(kept.len() as u64, report["requests"].as_u64().unwrap());
    (text, report)
}

#[test]
fn hidden_tiers_are_found_within_10_percent() {
    check(&Hidden::random(1, 2), &[], &[]);
}

#[test]
fn hidden_tiers_are_found_by_time_alone() {
    let serve = ["--no-prompt-tokens-details"];
    let (text, report) = check(&Hidden::random(2, 2), &["--no-metrics"], &serve);
    assert_eq!(report["reports_cached_tokens"], false);
    assert!(report["reported_capacity_tokens"].is_null(), "{report}");
    assert!(text.contains("--enable-prompt-tokens-details"), "{text}");
}

#[test]
fn one_hidden_tier_is_found_without_metrics() {
    check(&Hidden::random(3, 1), &["--no-metrics"], &[]);
}

#[test]
fn a_server_without_tiers_has_a_device_only() {
    let (text, _) = check(&Hidden::random(4, 0), &[], &[]);
    assert!(text.contains("no tier was found behind it"), "{text}");
}

#[test]
fn a_tier_that_stores_nothing_is_told_from_one_that_is_not_there() {
    in_three_tries(|| {
        let hidden = Hidden::random(5, 1);
        let device_only = Hidden { tiers: Vec::new(), ..Hidden::random(5, 0) };
        let folder = tempfile::tempdir().unwrap();
        let server = hidden.start(folder.path(), &["--fault", "stores-nothing"]);
        let (text, report) = probed(&server, &folder, &[]);
        let levels = report["levels"].as_array().unwrap();
        assert_eq!(levels.len(), 1, "{text}");
        let device_tokens = f64::from(device_only.kv_blocks - 1) * 16.0;
        close("device", &levels[0]["reach"]["tokens"], device_tokens, &text);
        assert!(text.contains("no tier was found behind it"), "{text}");
        assert!(text.contains("GiB stored outside of the device meanwhile, and nothing"), "{text}");
    });
}

#[test]
fn a_server_without_prefix_caching_is_one() {
    for details in [&[][..], &["--no-prompt-tokens-details"]] {
        let folder = tempfile::tempdir().unwrap();
        let hidden = Hidden::random(6, 0);
        let flags = [&["--no-enable-prefix-caching"], details].concat();
        let server = hidden.start(folder.path(), &flags);
        let (text, report) = probed(&server, &folder, &[]);
        assert_eq!(report["end"]["why"], "no_prefix_caching", "{text}");
        assert_eq!(
            (&report["caches_prompts"], &report["levels"]),
            (&false.into(), &Value::Array(vec![]))
        );
        assert!(text.contains("no prefix cache was found"), "{text}");
        let recompute = &report["recompute"]["tokens_per_sec"]["value"];
        close("recompute", recompute, hidden.prefill_tokens_per_sec, &text);
    }
}

#[test]
fn what_the_time_was_not_enough_for_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Hidden::random(7, 2).start(folder.path(), &[]);
    let (text, report) = probed(&server, &folder, &["--budget", "2s"]);
    assert_eq!(report["end_found"], false, "{text}");
    assert!(text.contains("--budget gives more"), "{text}");
    assert!(report["recompute"]["tokens_per_sec"]["value"].as_f64().unwrap() > 0.0, "{text}");
}

/// The probing of a server, running.
fn started(folder: &Path, url: &str) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin("turnbench"))
        .current_dir(folder)
        .args(["cache", "tiers", "--url", url, "--run-dir", "run"])
        .env_remove("OPENAI_API_KEY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

/// Waits until so many records are on the disk.
fn wait_for_records(folder: &Path, count: usize) {
    #[allow(clippy::disallowed_methods, reason = "the test gives up at some time")]
    let start = Instant::now();
    let lines = || {
        let text = std::fs::read(folder.join("run/records.jsonl")).unwrap_or_default();
        text.into_iter().filter(|byte| *byte == b'\n').count()
    };
    while lines() < count {
        assert!(start.elapsed() < Duration::from_mins(1), "no {count} records were written");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn end(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn an_interrupt_prints_what_is_known_and_keeps_every_record() {
    let folder = tempfile::tempdir().unwrap();
    let server = Hidden::random(8, 1).start(folder.path(), &[]);
    let child = started(folder.path(), &server.url);
    wait_for_records(folder.path(), 40);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let run = end(child);
    assert_eq!(run.code, Some(130), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("interrupted; this is what was known by then"), "{}", run.stdout);
    assert!(run.stdout.contains("recompute"), "{}", run.stdout);
    let report = std::fs::read_to_string(folder.path().join("run/tiers_report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let kept = records(&folder.path().join("run")).len() as u64;
    let answered =
        report["requests"].as_u64().unwrap() + report["failed_requests"].as_u64().unwrap();
    assert_eq!((&report["end"]["how"], kept), (&"interrupted".into(), answered));
}

#[test]
fn a_server_that_dies_ends_it_with_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let server = Hidden::random(9, 0).start(folder.path(), &[]);
    let child = started(folder.path(), &server.url);
    wait_for_records(folder.path(), 40);
    drop(server);
    let run = end(child);
    assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("requests failed one after another"), "{}", run.stdout);
    assert!(run.stdout.contains("recompute"), "{}", run.stdout);
}

#[test]
fn a_server_that_counts_no_tokens_cannot_be_told() {
    let stub = Stub::start(Behaviour::default());
    let folder = tempfile::tempdir().unwrap();
    let run = ended(turnbench(folder.path()).args(["cache", "tiers", "--url", &stub.url()]));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("answers do not say how many tokens prompts have"), "{text}");
}

#[test]
fn what_cannot_be_probed_is_refused_before_a_prompt_is_sent() {
    let stub = Stub::start(Behaviour::default());
    let folder = tempfile::tempdir().unwrap();
    let url = stub.url();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--url", &url, "--budget", "10"], 2, "such as 90s, 10m or 1h"),
        (&["--url", "localhost"], 2, "hint: give a base url"),
        (&["--url", &url, "--served-model-name", "other"], 2, "hint: --served-model-name"),
        (&["--url", &url, "--json", "missing/tiers.json"], 2, "hint: name a file in a directory"),
        (&["--url", &url, "--model-config", "missing.json"], 2, "--model-config is missing.json"),
        (&["--url", &url, "--extra-body", "[1]"], 2, "--extra-body"),
        (&["--url", "http://127.0.0.1:1"], 3, "no answer from http://127.0.0.1:1"),
    ];
    for (args, code, told) in cases {
        let run = ended(turnbench(folder.path()).args(["cache", "tiers"]).args(args));
        assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{args:?}: {}", run.stderr);
    }
    assert!(stub.posts().is_empty() && !folder.path().join("runs").exists());
}
