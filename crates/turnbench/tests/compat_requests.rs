//! `--compat vllm` against a stand-in server: every recorded run of the reference program is
//! replayed; the same requests must go out in the same order on each connection, with the same
//! statistics and the same output file.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use support::bin::{root, turnbench};
use support::stub::{Behaviour, Seen, Stub};

/// Keys of the statistics that are not times.
const COUNTS: [&str; 8] = [
    "input_num_turns",
    "input_num_tokens",
    "output_num_tokens",
    "output_num_chunks",
    "output_num_first_chunk_tokens",
    "approx_cached_percent",
    "conversation_id",
    "client_id",
];

/// Runs in which the reference hangs or fails where turnbench refuses the flag before sending.
const REFUSED: [&str; 1] = ["err_retries_neg"];

/// What one replay left.
struct Replay {
    output: Output,
    seen: Vec<Seen>,
    stats: Option<Value>,
    conversations: Option<Value>,
}

fn recorded() -> Value {
    let packed = std::fs::read(root().join("testdata/requests/runs.json.zst")).unwrap();
    serde_json::from_slice(&zstd::decode_all(packed.as_slice()).unwrap()).unwrap()
}

fn behaviour(run: &Value) -> Behaviour {
    let server = &run["server"];
    let script = server["script"].as_object().into_iter().flatten();
    let exact = server["exact"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Behaviour {
        default: server["default"].as_str().map(str::to_owned),
        script: script.map(|(number, name)| (number.parse().unwrap(), text(name))).collect(),
        exact: exact.map(|(question, answer)| (question.clone(), text(answer))).collect(),
        sleep_sec: server["sleep"].as_f64().unwrap_or(0.0),
        no_server_info: run["name"] == "no_version_no_models",
        ..Behaviour::default()
    }
}

fn replay(run: &Value, inputs: &Value) -> Replay {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tokenizer", "text"] {
        let target = root().join("testdata").join(name);
        std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
    }
    let input = run["input"].as_str().unwrap();
    let input_path = match inputs.get(input) {
        Some(content) => {
            let path = folder.path().join(input);
            std::fs::write(&path, content.to_string()).unwrap();
            path
        }
        None => support::bin::generator_config(folder.path(), input),
    };
    let stub = Stub::start(behaviour(run));
    let args = run["args"].as_array().unwrap().iter();
    let args: Vec<String> =
        args.map(|arg| arg.as_str().unwrap().replace("PORT", &stub.port.to_string())).collect();
    let output = turnbench(folder.path())
        .args(["run", "--compat", "vllm", "-m", "tokenizer/bpe"])
        .args(["--served-model-name", "stub-model", "--run-dir", "none"])
        .args(["--url", &stub.url(), "--stats-json-output", "stats.json", "-o", "out.json", "-i"])
        .arg(input_path)
        .args(&args)
        .timeout(std::time::Duration::from_mins(1))
        .output()
        .unwrap();
    let read = |name: &str| read_json(&folder.path().join(name));
    Replay { output, seen: stub.seen(), stats: read("stats.json"), conversations: read("out.json") }
}

fn read_json(path: &Path) -> Option<Value> {
    std::fs::read(path).ok().map(|text| serde_json::from_slice(&text).unwrap())
}

fn name(run: &Value) -> &str {
    run["name"].as_str().unwrap()
}

fn stderr(replay: &Replay) -> String {
    String::from_utf8_lossy(&replay.output.stderr).into_owned()
}

/// (connection in order of first use, method, path, body) of each request.
fn recorded_requests(run: &Value) -> Vec<(u64, String, String, Value)> {
    let requests = run["requests"].as_array().unwrap().iter();
    requests
        .map(|request| {
            let text = |key: &str| request[key].as_str().unwrap().to_owned();
            let connection = request["conn"].as_u64().unwrap();
            (connection, text("method"), text("path"), request["body"].clone())
        })
        .collect()
}

fn seen_requests(seen: &[Seen]) -> Vec<(u64, String, String, Value)> {
    let body = |seen: &Seen| if seen.body.is_empty() { Value::Null } else { seen.json() };
    seen.iter()
        .map(|seen| (seen.connection as u64, seen.method.clone(), seen.path.clone(), body(seen)))
        .collect()
}

/// Bodies of each connection, connections numbered by first use; GETs left out.
fn by_connection(requests: &[(u64, String, String, Value)]) -> Vec<Vec<&Value>> {
    let mut connections: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for (connection, method, _, body) in requests {
        if method == "POST" {
            connections.entry(*connection).or_default().push(body);
        }
    }
    connections.into_values().collect()
}

fn counts(stats: &Value) -> Vec<Vec<Value>> {
    let rows = stats.as_array().unwrap().iter();
    rows.map(|row| COUNTS.iter().map(|key| row[key].clone()).collect()).collect()
}

/// Long texts are abbreviated in the recording.
fn abbreviate(value: &Value) -> Value {
    let text = value.to_string().replace(&"x y ".repeat(60_000), "<'x y ' 60000 times>");
    serde_json::from_str(&text).unwrap()
}

fn check_ordered(run: &Value, replay: &Replay) {
    let name = name(run);
    let expected = recorded_requests(run);
    let actual = seen_requests(&replay.seen);
    let expected_posts: Vec<_> = expected.iter().filter(|request| request.1 == "POST").collect();
    let actual_posts: Vec<_> = actual.iter().filter(|request| request.1 == "POST").collect();
    let bodies =
        |posts: &[&(u64, String, String, Value)]| posts.iter().map(|post| post.3.clone()).collect();
    let (expected_bodies, actual_bodies): (Vec<Value>, Vec<Value>) =
        (bodies(&expected_posts), bodies(&actual_posts));
    let stderr = stderr(replay);
    assert_eq!(actual_bodies, expected_bodies, "{name}: bodies\n{stderr}");
    assert_eq!(by_connection(&actual), by_connection(&expected), "{name}: connections");
    let paths: Vec<_> = actual.iter().map(|request| (&request.1, &request.2)).collect();
    let expected_paths: Vec<_> = expected.iter().map(|request| (&request.1, &request.2)).collect();
    assert_eq!(paths, expected_paths, "{name}: methods and paths");
    check_raw(run, replay);
    let stats = replay.stats.as_ref().unwrap_or_else(|| panic!("{name}: no stats\n{stderr}"));
    assert_eq!(counts(stats), counts(&run["stats"]), "{name}: statistics");
    let conversations = replay.conversations.as_ref().expect("an output file");
    assert_eq!(&abbreviate(conversations), &run["output_file"], "{name}: output file");
}

/// Bytes of the body and the headers that the recording kept.
fn check_raw(run: &Value, replay: &Replay) {
    let recorded = run["requests"].as_array().unwrap();
    for (index, (request, seen)) in recorded.iter().zip(&replay.seen).enumerate() {
        let name = name(run);
        if let Some(raw) = request["raw_body"].as_str() {
            assert_eq!(seen.body, raw, "{name}: bytes of body {index}");
        }
        let kept: Vec<(String, String)> = request["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|header| {
                let text = |index: usize| header[index].as_str().unwrap().to_owned();
                (text(0), text(1))
            })
            .filter(|(name, _)| !["Host", "User-Agent", "Accept-Encoding"].contains(&name.as_str()))
            .collect();
        let all = kept.iter().any(|(name, _)| name == "Content-Type");
        let sent: Vec<(String, String)> = seen
            .headers
            .iter()
            .filter(|(name, _)| !["Host", "User-Agent", "Accept-Encoding"].contains(&name.as_str()))
            .filter(|header| all || kept.iter().any(|(name, _)| *name == header.0))
            .cloned()
            .collect();
        assert_eq!(sent, kept, "{name}: headers of request {index}");
    }
}

#[test]
fn single_client_runs_repeat_the_recorded_requests() {
    let recorded = recorded();
    let mut checked = 0;
    for run in recorded["runs"].as_object().unwrap().values() {
        let refused = name(run).starts_with("err_") && name(run) != "err_rate_neg";
        if refused || run["order_matters"] == false || run["hung"] == true {
            continue;
        }
        if run["stats"].is_null() || name(run) == "server_down" {
            continue;
        }
        check_ordered(run, &replay(run, &recorded["inputs"]));
        checked += 1;
    }
    assert!(checked >= 55, "only {checked} runs were checked");
}

/// Whether the questions of a request are the first ones of one of these conversations.
fn asks_for_one_of(body: &Value, conversations: &[Value]) -> bool {
    let questions = |messages: &Value| -> Vec<Value> {
        messages.as_array().unwrap().iter().step_by(2).cloned().collect()
    };
    let asked = questions(&body["messages"]);
    conversations.iter().any(|one| questions(&one["messages"]).starts_with(&asked))
}

#[test]
fn racing_clients_send_only_what_was_recorded() {
    let recorded = recorded();
    let mut checked = 0;
    for run in recorded["runs"].as_object().unwrap().values() {
        if run["order_matters"] != false || name(run).starts_with("err_") {
            continue;
        }
        let replay = replay(run, &recorded["inputs"]);
        let clients = by_connection(&seen_requests(&replay.seen)).len();
        let expected = recorded_requests(run);
        // A client that is done before the other has begun stops it, as in the reference.
        assert!(clients <= by_connection(&expected).len(), "{}: {clients} clients", name(run));
        // Which client gets which conversation is a matter of timing; what is asked is not.
        let conversations = recorded["inputs"].get(run["input"].as_str().unwrap());
        if let Some(conversations) = conversations.and_then(Value::as_array) {
            for seen in replay.seen.iter().filter(|seen| seen.method == "POST") {
                assert!(
                    asks_for_one_of(&seen.json(), conversations),
                    "{}: {}",
                    name(run),
                    seen.body
                );
            }
        }
        let stats = replay.stats.as_ref().unwrap_or_else(|| panic!("{}", stderr(&replay)));
        let rows = stats.as_array().unwrap().len();
        let posts = replay.seen.iter().filter(|seen| seen.method == "POST").count();
        assert_eq!(rows, posts, "{}: every answered request has its row", name(run));
        checked += 1;
    }
    assert!(checked >= 2, "only {checked} runs were checked");
}

#[test]
fn flags_and_files_that_the_reference_refuses_are_refused_before_anything_is_sent() {
    let recorded = recorded();
    let mut checked = 0;
    for run in recorded["runs"].as_object().unwrap().values() {
        let refused = name(run).starts_with("err_") && name(run) != "err_rate_neg";
        if !refused && !REFUSED.contains(&name(run)) {
            continue;
        }
        let replay = replay(run, &recorded["inputs"]);
        let text = stderr(&replay);
        assert_eq!(replay.output.status.code(), Some(2), "{}: {text}", name(run));
        assert!(replay.seen.is_empty(), "{}: {:?}", name(run), replay.seen);
        assert!(text.contains("error: "), "{}: {text}", name(run));
        checked += 1;
    }
    assert!(checked >= 20, "only {checked} runs were checked");
}

#[test]
fn every_other_message_is_a_question_whatever_its_role() {
    let user = |text: &str| json!({"role": "user", "content": text});
    let conversation =
        json!([{"id": "odd", "messages": [user("a"), user("b"), user("c"), user("d")]}]);
    let run = json!({
        "name": "odd_roles", "input": "odd.json", "args": [], "server": {},
    });
    let replay = replay(&run, &json!({"odd.json": conversation}));
    let posts = replay.seen.iter().filter(|seen| seen.method == "POST");
    let lengths: Vec<usize> =
        posts.map(|seen| seen.json()["messages"].as_array().unwrap().len()).collect();
    assert_eq!(lengths, [1, 3], "{}", stderr(&replay));
    assert_eq!(replay.output.status.code(), Some(0), "{}", stderr(&replay));
}

#[test]
fn a_warm_up_step_makes_the_percentages_be_ignored() {
    let recorded = recorded();
    let mut run = recorded["runs"]["warmup_step"].clone();
    run["args"].as_array_mut().unwrap().extend([json!("--warmup-percentages"), json!("abc")]);
    let replay = replay(&run, &recorded["inputs"]);
    assert_eq!(replay.output.status.code(), Some(0), "{}", stderr(&replay));
    let stdout = String::from_utf8_lossy(&replay.output.stdout).into_owned();
    assert!(!stdout.contains("assuming"), "{stdout}");
}
