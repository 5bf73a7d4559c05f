//! Reads the recordings in `testdata/vllm-0.32-cache`; their format is described there.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use turnbench_kvcache::{BlockHash, KvEvent};
use turnbench_simserver::engine::{
    Engine, EngineOptions, EngineRequest, EngineStats, ReplaySource,
};

/// Every file with a server of its own.
pub(crate) const FILES: [&str; 8] =
    ["b32", "b32b", "b32d", "big32", "chunk32", "seqs2", "b128", "off32"];

/// Deltas of [queries, hits, preemptions, prompt tokens, cached prompt tokens, generated tokens,
/// successes].
pub(crate) type Counters = [u64; 7];

pub(crate) struct Recorded {
    pub(crate) seq: u64,
    pub(crate) tag: String,
    pub(crate) prompt: Arc<[u32]>,
    /// One answer, or n.
    pub(crate) outputs: Vec<Vec<u32>>,
    pub(crate) max_tokens: u32,
    pub(crate) stops: bool,
    pub(crate) salt: Option<Arc<str>>,
    pub(crate) skip_prefix_lookup: bool,
    /// `None` for aborted requests.
    pub(crate) cached: Option<u64>,
    /// Tokens after which the client went away.
    pub(crate) aborted_after: Option<u32>,
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) counters: Option<Counters>,
}

impl Recorded {
    /// The requests to submit: one, or n for n answers.
    pub(crate) fn requests(&self) -> impl Iterator<Item = EngineRequest> {
        self.outputs.iter().map(|output| {
            let source = ReplaySource::new(output.clone());
            let source = if self.stops { source.stopping() } else { source };
            EngineRequest {
                prompt: Arc::clone(&self.prompt),
                max_tokens: self.max_tokens,
                answer: Box::new(source),
                cache_salt: self.salt.clone(),
                skip_prefix_lookup: self.skip_prefix_lookup,
            }
        })
    }
}

pub(crate) struct Run {
    pub(crate) file: &'static str,
    pub(crate) name: String,
    pub(crate) options: EngineOptions,
    pub(crate) concurrent: bool,
    /// In the order of sending.
    pub(crate) requests: Vec<Recorded>,
    /// Of the whole run.
    pub(crate) counters: Counters,
    /// As text: `S hash`, `R hash`, `C`; empty if none were recorded.
    pub(crate) events: Vec<String>,
}

impl Run {
    pub(crate) fn engine(&self) -> Engine {
        let mut engine = Engine::new(self.options.clone()).unwrap();
        assert!(engine.reset_prefix_cache());
        engine
    }

    /// The engine's events in the recording's words.
    pub(crate) fn describe(&self, events: &[KvEvent]) -> Vec<String> {
        let mut names = BTreeMap::new();
        let size = self.options.block_size as usize;
        for request in &self.requests {
            for output in &request.outputs {
                let ids: Vec<u32> = request.prompt.iter().chain(output).copied().collect();
                let mut parent = (BlockHash::root(request.salt.as_deref()), String::new());
                for block in ids.chunks_exact(size) {
                    parent = (parent.0.child(block), recorded_hash(&parent.1, block));
                    names.insert(parent.0, parent.1.clone());
                }
            }
        }
        let name = |hash| names.get(hash).map_or("unknown", String::as_str);
        events
            .iter()
            .map(|event| match event {
                KvEvent::Stored(hash) => format!("S {}", name(hash)),
                KvEvent::Removed(hash) => format!("R {}", name(hash)),
                KvEvent::Cleared => "C".to_owned(),
            })
            .collect()
    }
}

fn recorded_hash(parent: &str, tokens: &[u32]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(parent.as_bytes());
    for token in tokens {
        hasher.update(token.to_le_bytes());
    }
    hasher.finalize().iter().take(6).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn lines(file: &str) -> Vec<Value> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vllm-0.32-cache").join(file);
    let Ok(compressed) = std::fs::read(&path) else { return Vec::new() };
    let text = zstd::decode_all(compressed.as_slice()).unwrap();
    serde_json::Deserializer::from_slice(&text).into_iter().map(Result::unwrap).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn options(file: &str, begin: &Value) -> EngineOptions {
    EngineOptions {
        block_size: begin["block_size"].as_u64().unwrap() as u32,
        kv_blocks: begin["num_gpu_blocks"].as_u64().unwrap() as u32,
        max_num_batched_tokens: if file == "chunk32" { 128 } else { 2048 },
        max_num_seqs: match file {
            "chunk32" => 32,
            "seqs2" => 2,
            _ => 128,
        },
        max_model_len: if file == "b128" { 4096 } else { 1984 },
        prefix_caching: file != "off32",
        record_kv_events: true,
        ..EngineOptions::default()
    }
}

fn deltas(before: &Value, after: &Value) -> Option<Counters> {
    let read = |list: &Value, index: usize| list.get(index)?.as_u64();
    let mut deltas = [0; 7];
    for (index, delta) in deltas.iter_mut().enumerate() {
        *delta = read(after, index)? - read(before, index)?;
    }
    Some(deltas)
}

fn recorded(line: &Value, known: &BTreeMap<i64, (Vec<u32>, Vec<u32>)>) -> Recorded {
    let base = line["prompt"]["base"].as_i64().unwrap();
    let keep = line["prompt"]["keep"].as_u64().unwrap() as usize;
    let mut prompt: Vec<u32> = known
        .get(&base)
        .map(|(prompt, output)| prompt.iter().chain(output).take(keep).copied().collect())
        .unwrap_or_default();
    assert_eq!(prompt.len(), keep, "base {base} of {line}");
    prompt.extend(ids(&line["prompt"]["add"]));
    assert_eq!(prompt.len() as u64, line["n_prompt"].as_u64().unwrap());
    let outputs = match line["outputs"].as_array() {
        Some(outputs) => outputs.iter().map(ids).collect(),
        None => vec![ids(&line["output"])],
    };
    let tag = line["tag"].as_str().unwrap_or_default().to_owned();
    let salt = serde_json::from_str::<Value>(&tag).ok();
    let aborted = line["aborted"].as_bool() == Some(true);
    let made = line["generated_by_counter"].as_u64().map(|count| count as u32);
    Recorded {
        seq: line["seq"].as_u64().unwrap(),
        salt: salt.and_then(|tag| Some(Arc::from(tag["cache_salt"].as_str()?))),
        skip_prefix_lookup: line["extra"]["prompt_logprobs"].is_u64()
            || line["extra"]["echo"].as_bool() == Some(true),
        tag,
        prompt: Arc::from(prompt),
        outputs,
        max_tokens: line["max_tokens"].as_u64().unwrap() as u32,
        stops: line["finish"] == "stop",
        cached: line["cached"].as_u64(),
        // The client noticed too late if everything had been made.
        aborted_after: made.filter(|made| aborted && line["max_tokens"] != *made),
        start: line["start"].as_f64().unwrap_or_default(),
        end: line["end"].as_f64().unwrap_or_default(),
        counters: deltas(&line["before"], &line["after"]),
    }
}

/// An aborted request knows only what its client received; the rest of its answer is in a later
/// request with the same prompt.
fn complete_aborted(requests: &mut [Recorded]) {
    for index in 0..requests.len() {
        if !requests[index].tag.starts_with("aborted") {
            continue;
        }
        let received = &requests[index].outputs[0];
        let whole = requests[index + 1..].iter().find_map(|later| {
            let whole = &later.outputs[0];
            (later.prompt == requests[index].prompt && whole.starts_with(received)).then_some(whole)
        });
        if let Some(whole) = whole.cloned() {
            requests[index].outputs = vec![whole];
        }
    }
}

/// The engine's counters in the recording's order.
pub(crate) fn counters(stats: &EngineStats) -> Counters {
    [
        stats.prefix_cache_queries,
        stats.prefix_cache_hits,
        stats.preemptions,
        stats.prompt_tokens,
        stats.prompt_tokens_cached,
        stats.generation_tokens,
        stats.success_stop + stats.success_length,
    ]
}

/// All runs of a file, in their order.
pub(crate) fn runs(file: &'static str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut requests = lines(&format!("{file}.jsonl.zst"));
    assert!(!requests.is_empty(), "{file} is missing");
    for line in requests.iter().filter(|line| line["begin"] == true) {
        let same = |end: &&Value| end["end_run"] == true && end["run"] == line["run"];
        let end = requests.iter().find(same).unwrap();
        runs.push(Run {
            file,
            name: line["run"].as_str().unwrap().to_owned(),
            options: options(file, line),
            concurrent: false,
            requests: Vec::new(),
            counters: deltas(&line["counters"], &end["counters"]).unwrap(),
            events: Vec::new(),
        });
    }
    let place = |runs: &[Run], line: &Value| {
        runs.iter().position(|run| line["run"] == run.name.as_str()).unwrap()
    };
    requests.retain(|line| line["prompt"].is_object());
    let mut known = BTreeMap::new();
    // A base may have been sent later, in concurrent runs.
    let mut left: VecDeque<Value> = requests.into();
    while let Some(line) = left.pop_front() {
        let base = line["prompt"]["base"].as_i64().unwrap();
        if base >= 0 && !known.contains_key(&base) {
            left.push_back(line);
            continue;
        }
        let request = recorded(&line, &known);
        let ids = (request.prompt.to_vec(), request.outputs[0].clone());
        known.insert(request.seq as i64, ids);
        let run = place(&runs, &line);
        runs[run].concurrent |= line["tok_t"].is_array();
        runs[run].requests.push(request);
    }
    for line in lines(&format!("{file}.events.jsonl.zst")) {
        let run = place(&runs, &line);
        for entry in line["ev"].as_array().unwrap() {
            let kind = entry[0].as_str().unwrap();
            let hashes = entry[1].as_array().map(Vec::as_slice).unwrap_or_default();
            let events = &mut runs[run].events;
            events.extend(hashes.iter().map(|hash| format!("{kind} {}", hash.as_str().unwrap())));
            if kind == "C" {
                events.push(kind.to_owned());
            }
        }
    }
    for run in &mut runs {
        run.requests.sort_by_key(|request| request.seq);
        complete_aborted(&mut run.requests);
    }
    runs
}
