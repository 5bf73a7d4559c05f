//! Every recorded workload of the reference is repeated byte for byte, every refusal too.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;
use sha2::{Digest, Sha256};
use turnbench_model::{Conversation, Tokenizer, TokenizerError};
use turnbench_random::NumpyStream;
use turnbench_workload::{
    DecodeCleanup, GeneratorConfig, HfTokenizer, WorkloadError, conversation_stats, generate,
    generate_from, write_conversations_json,
};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

fn recorded(name: &str) -> Value {
    let file = std::fs::File::open(testdata().join("generate").join(name)).unwrap();
    serde_json::from_reader(zstd::Decoder::new(file).unwrap()).unwrap()
}

/// A tokenizer that remembers what it has encoded: the cases share few texts, and encoding them is
/// slow without optimisation.
struct Remembering {
    inner: HfTokenizer,
    known: Mutex<BTreeMap<String, Vec<u32>>>,
}

impl Tokenizer for Remembering {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        if let Some(ids) = self.known.lock().unwrap().get(text) {
            return Ok(ids.clone());
        }
        let ids = self.inner.encode(text)?;
        self.known.lock().unwrap().insert(text.to_owned(), ids.clone());
        Ok(ids)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(ids)
    }

    fn vocab_size(&self) -> u32 {
        self.inner.vocab_size()
    }

    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        self.inner.token_bytes(id)
    }

    fn special_tokens_count(&self) -> u64 {
        self.inner.special_tokens_count()
    }
}

fn tokenizer(name: &str, cleanup: DecodeCleanup) -> Remembering {
    let folder = testdata().join("tokenizer").join(name);
    let inner = HfTokenizer::from_directory(&folder, cleanup).unwrap();
    Remembering { inner, known: Mutex::default() }
}

/// The config with the places of its text files on this machine.
fn config(json: &Value) -> Result<GeneratorConfig, WorkloadError> {
    let mut json = json.clone();
    if let Some(files) = json.get_mut("text_files").and_then(Value::as_array_mut) {
        for file in files {
            let here = testdata().join(file.as_str().unwrap());
            *file = Value::from(here.to_str().unwrap());
        }
    }
    let mut warnings = Vec::new();
    let config = GeneratorConfig::from_json(Path::new("case.json"), &json, &mut warnings)?;
    let unexpected = warnings.iter().find(|warning| warning.problem.contains("unknown"));
    assert_eq!(unexpected, None);
    Ok(config)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn check_run(name: &str, run: &Value, conversations: &[Conversation], tokenizer: &dyn Tokenizer) {
    let content = |conversation: usize, message: usize| {
        conversations[conversation].messages[message].content.text()
    };
    for (i, messages) in run["messages"].as_array().unwrap().iter().enumerate() {
        let messages = messages.as_array().unwrap();
        assert_eq!(messages.len(), conversations[i].messages.len(), "{name} {i}");
        for (j, expect) in messages.iter().enumerate() {
            let text = content(i, j);
            assert_eq!(hex(text.as_bytes())[..12], expect[3].as_str().unwrap()[..12], "{text}");
            assert_eq!(text.chars().count() as u64, expect[1].as_u64().unwrap());
            assert_eq!(tokenizer.count(&text).unwrap(), expect[2].as_u64().unwrap(), "{text}");
        }
    }
    let listed = run.get("conversations").or_else(|| run.get("first_conversations"));
    for (i, expect) in listed.into_iter().flat_map(|list| list.as_array().unwrap()).enumerate() {
        for (j, expect) in expect["messages"].as_array().unwrap().iter().enumerate() {
            // Very long contents were recorded as their length only.
            let abbreviated = format!("<{} chars>", content(i, j).chars().count());
            if expect["content"] != abbreviated {
                let message = serde_json::to_value(&conversations[i].messages[j]).unwrap();
                assert_eq!(&message, expect, "{name} {i} {j}");
            }
        }
        assert_eq!(conversations[i].id, expect["id"].as_str().unwrap());
    }
    let mut bytes = Vec::new();
    write_conversations_json(conversations, 4, &mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, run["bytes_indent4"].as_u64().unwrap(), "{name}");
    assert_eq!(hex(&bytes), run["sha256_indent4"].as_str().unwrap(), "{name}");
}

#[test]
fn recorded_workloads_are_repeated_byte_for_byte() {
    let load = |name| (name, tokenizer(name, DecodeCleanup::Auto));
    let tokenizers = ["bpe", "bpe-cleanup", "metaspace"].map(load);
    let cleaning = tokenizer("bpe-cleanup", DecodeCleanup::On);
    let (mut runs_count, mut cleaned_count) = (0, 0);
    for (name, case) in recorded("cases.json.zst").as_object().unwrap() {
        let config = config(&case["config"]).unwrap();
        for run in case["expected"]["runs"].as_array().unwrap() {
            let seed = run["seed"].as_u64().unwrap();
            let named = |entry: &&(&str, Remembering)| entry.0 == run["tokenizer"];
            let tokenizer = &tokenizers.iter().find(named).unwrap().1;
            let mut stream = NumpyStream::new(seed as u32);
            let conversations = generate_from(&config, tokenizer, &mut stream).unwrap();
            check_run(name, run, &conversations, tokenizer);
            let after = &run["rng_after"];
            assert_eq!(u64::from(stream.has_cached_normal()), after["has_gauss"].as_u64().unwrap());
            for word in after["next_u32"].as_array().unwrap() {
                assert_eq!(u64::from(stream.next_u32()), word.as_u64().unwrap(), "{name}");
            }
            if let Some(cleaned) = run.get("transformers_v4") {
                let conversations = generate(&config, &cleaning, seed).unwrap();
                check_run(name, cleaned, &conversations, &cleaning);
                cleaned_count += 1;
            }
            runs_count += 1;
        }
    }
    assert_eq!((runs_count, cleaned_count), (RUNS, CLEANED));
}

const RUNS: usize = 126;
const CLEANED: usize = 8;

#[test]
fn distributions_are_named_as_the_reference_names_them() {
    for (name, case) in recorded("cases.json.zst").as_object().unwrap() {
        let parameters = config(&case["config"]).unwrap().parameters();
        let expect = case["expected"]["distributions"].as_object().unwrap();
        let named: Vec<(&str, &str)> =
            parameters[1..].iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        let expect: Vec<(&str, &str)> =
            expect.iter().map(|(key, text)| (key.as_str(), text.as_str().unwrap())).collect();
        assert_eq!(named, expect, "{name}");
        assert_eq!(parameters[0].0, "text_files");
    }
}

#[test]
fn statistics_count_what_the_recorded_run_counted() {
    let cases = recorded("cases.json.zst");
    let case = &cases["print_stats"];
    let config = config(&case["config"]).unwrap();
    assert!(config.print_stats);
    let run = &case["expected"]["runs"][0];
    let tokenizer = tokenizer(run["tokenizer"].as_str().unwrap(), DecodeCleanup::Auto);
    let conversations = generate(&config, &tokenizer, 0).unwrap();
    let stats = conversation_stats(&conversations, &tokenizer).unwrap();
    assert_eq!(stats.conversation_turns, [6.0, 8.0, 2.0, 6.0, 6.0, 6.0]);
    // One special token (BOS) for each message.
    assert_eq!(stats.request_tokens[..3], [126.0, 241.0, 366.0]);
    assert_eq!(stats.user_tokens[2], 86.0);
    assert_eq!(stats.assistant_tokens[2], 21.0);
}

/// What a config is refused with, the texts' folder left out.
fn refusal(case: &Value, tokenizer: &dyn Tokenizer) -> Option<String> {
    let made = config(&case["config"]).and_then(|config| generate(&config, tokenizer, 0));
    let folder = format!("{}/", testdata().display());
    made.err().map(|error| error.to_string().replace(&folder, ""))
}

#[test]
fn what_the_reference_refuses_is_refused_with_place_value_and_what_is_allowed() {
    let tokenizer = tokenizer("bpe", DecodeCleanup::Auto);
    let mut texts = String::new();
    for case in recorded("errors.json.zst").as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if case["config"].is_null() {
            continue; // a refusal of the command line
        }
        let refusal = refusal(case, &tokenizer);
        if case["stage"] != "ok" {
            assert!(refusal.is_some(), "{name} is taken");
        }
        writeln!(texts, "{name}: {}", refusal.as_deref().unwrap_or("taken")).unwrap();
    }
    let expected = include_str!("refusals.txt");
    assert_eq!(texts, expected, "\n{texts}");
}
