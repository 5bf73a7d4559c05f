//! Conversions of ShareGPT files equal the recorded ones of vLLM's converter, failures included.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use turnbench_model::Tokenizer;
use turnbench_random::PythonStream;
use turnbench_workload::{
    Converted, DecodeCleanup, Dump, MergedDump, ReferenceRules, TokenizerSpec, load_tokenizer,
};

#[derive(Deserialize)]
struct Run {
    name: String,
    input: String,
    args: Vec<String>,
    exit: i32,
    sha256: Option<String>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/sharegpt")
}

fn number(run: &Run, flag: &str) -> Option<i64> {
    let value = run.args.iter().find_map(|arg| arg.strip_prefix(flag)?.strip_prefix('='))?;
    Some(value.parse().unwrap())
}

/// What the flags ask for: the text, or why there is none.
fn convert(run: &Run) -> Result<(Vec<u8>, Converted), String> {
    let limits = |what: &str| {
        let (min, max) =
            (number(run, &format!("--min-{what}")), number(run, &format!("--max-{what}")));
        match (min, max) {
            (Some(min), Some(max)) if min > max && max != 0 => Err(format!("--min-{what} {min}")),
            _ => Ok((min, max)),
        }
    };
    let ((min_turns, max_turns), (min_content_len, max_content_len)) =
        (limits("turns")?, limits("content-len")?);
    let rules = ReferenceRules { min_turns, max_turns, min_content_len, max_content_len };
    let mut stream = PythonStream::new(number(run, "--seed").unwrap_or(0));
    let text = |error: turnbench_workload::WorkloadError| error.to_string();
    let dump = Dump::read(&folder().join(&run.input)).map_err(text)?;
    let dump = dump.merge(&mut stream).map_err(text)?;
    let converted = converted(&dump, &rules, None, None).map_err(text)?;
    match number(run, "--max-items") {
        Some(count) if count < converted.1.kept.len() as i64 => {
            let count = usize::try_from(count).ok().filter(|&count| count > 0);
            let count = count.ok_or("--max-items")?;
            let kept = &converted.1.kept;
            let sample = stream.sample(kept.len(), count).unwrap();
            let sample: Vec<u32> = sample.into_iter().map(|place| kept[place]).collect();
            let tokenizer = run.args.iter().any(|arg| arg.starts_with("--model")).then(tokenizer);
            self::converted(&dump, &rules, Some(&sample), tokenizer.as_deref()).map_err(text)
        }
        _ => Ok(converted),
    }
}

fn converted(
    dump: &MergedDump,
    rules: &ReferenceRules,
    chosen: Option<&[u32]>,
    tokenizer: Option<&dyn Tokenizer>,
) -> Result<(Vec<u8>, Converted), turnbench_workload::WorkloadError> {
    let mut out = Vec::new();
    let converted = dump.convert(rules, chosen, tokenizer, Some(&mut out))?;
    Ok((out, converted))
}

fn tokenizer() -> std::sync::Arc<dyn Tokenizer> {
    let path = folder().join("../tokenizer/bpe");
    let spec = TokenizerSpec::parse(path.to_str().unwrap()).unwrap();
    load_tokenizer(&spec, DecodeCleanup::Auto).unwrap().tokenizer
}

#[test]
fn every_recorded_run_is_repeated() {
    let runs: Vec<Run> =
        serde_json::from_slice(&std::fs::read(folder().join("runs.json")).unwrap()).unwrap();
    let packed = std::fs::read(folder().join("outputs.json.zst")).unwrap();
    let outputs: BTreeMap<String, String> =
        serde_json::from_slice(&zstd::decode_all(&*packed).unwrap()).unwrap();
    for run in &runs {
        let found = convert(run);
        let Some(sha256) = &run.sha256 else {
            let failed = match &found {
                Err(_) => true,
                Ok((_, converted)) => converted.kept.is_empty() || converted.unwritable.is_some(),
            };
            assert!(failed && run.exit == 1, "{}: {:?}", run.name, found.map(|(_, one)| one));
            continue;
        };
        let (text, _) = found.unwrap_or_else(|error| panic!("{}: {error}", run.name));
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, outputs[sha256], "{}", run.name);
        let digest = hex(&Sha256::digest(&text));
        assert_eq!(digest, *sha256, "{}", run.name);
    }
    assert_eq!(runs.len(), 51);
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[test]
fn failures_name_the_place_and_what_is_allowed() {
    let error = |name: &str| {
        let run = Run {
            name: name.to_owned(),
            input: format!("{name}.json"),
            args: Vec::new(),
            exit: 1,
            sha256: None,
        };
        let shown = format!("{}/", folder().display());
        convert(&run).unwrap_err().replace(&shown, "")
    };
    let from =
        "allowed is \"human\", \"user\", \"gpt\", \"bing\", \"chatgpt\", \"bard\" or \"system\"";
    let check = |name, expect: String| assert_eq!(error(name), expect, "{name}");
    let at = |name: &str, text: &str| format!("{name}.json: [0]{text}");
    check("bad_from", at("bad_from", &format!(".conversations[1].from is \"robot\", {from}")));
    check(
        "missing_value",
        at("missing_value", ".conversations[1].value is missing, allowed is a text"),
    );
    check(
        "missing_from",
        at("missing_from", &format!(".conversations[0].from is missing, {from}")),
    );
    check("value_null", at("value_null", ".conversations[1].value is null, allowed is a text"));
    check(
        "missing_conversations",
        at(
            "missing_conversations",
            ".conversations is missing, allowed is a list of messages ({\"from\", \"value\"})",
        ),
    );
    let id = "allowed is a text with exactly one \"_\", such as \"hiWPlMD_0\"\nhint: without \
              --compat vllm every id will do";
    check("missing_id", at("missing_id", &format!(".id is missing, {id}")));
    check("id_no_underscore", at("id_no_underscore", &format!(".id is \"x\", {id}")));
    check("id_two_underscores", at("id_two_underscores", &format!(".id is \"x_0_1\", {id}")));
    check(
        "not_list",
        "not_list.json: the document is an object, allowed is a list of items ({\"id\", \
         \"conversations\"})"
            .to_owned(),
    );
}
