//! Input files.

use serde_json::{Value, json};

use crate::support::bin::{root, turnbench};
use crate::support::case::{Case, ended, plain};
use crate::support::stub::Behaviour;

use super::{check, refused};

#[test]
fn malformed_inputs_are_refused_with_file_and_place() {
    let case = Case::new(Behaviour::default());
    let list = "allowed is a list with one message at least";
    for (text, expect) in [
        ("[,]", ":1: malformed JSON in item 0, at byte 1: expected a value, found ','".to_owned()),
        (
            "[{\"id\": \"a\",\n",
            ":1: malformed JSON in item 0, at byte 1: the file ends within it".to_owned(),
        ),
        ("5", ":1: the document is 5, allowed is a JSON object".to_owned()),
        ("[7]", ": [0] is 7, allowed is a JSON object".to_owned()),
        (r#"[{"id": 1}]"#, ": [0].id is 1, allowed is a string".to_owned()),
        (r#"[{"id": "a"}]"#, format!(": [0].messages is missing, {list}")),
        (r#"[{"id": "a", "messages": []}]"#, format!(": [0].messages is [], {list}")),
        (
            r#"[{"id": "a", "messages": [{"content": "x"}]}]"#,
            ": [0].messages[0].role is missing, allowed is a role, such as \"user\" or \
             \"assistant\""
                .to_owned(),
        ),
        (
            r#"[{"id": "a", "messages": [{"role": "user", "content": 5}]}]"#,
            ": [0].messages[0].content is 5, allowed is a string, a list of parts, or null"
                .to_owned(),
        ),
        (
            r#"[{"id": "a", "messages": [{"role": "user"}]}, {"id": "a", "messages": [{"role": "user"}]}]"#,
            ": [1].id is \"a\", allowed is an id that no other conversation has (item 0 has it, \
             counted from 0)"
                .to_owned(),
        ),
    ] {
        case.write("bad.json", text);
        let args = ["-i", "bad.json", "--input-format", "conversations"];
        check(&case, &args, &format!("error: bad.json{expect}"));
    }
    case.write("bad.json", "[]");
    let expect = "error: 'bad.json' has no conversation that is used; there must be at least one";
    check(&case, &["-i", "bad.json"], expect);
    for (text, expect) in [
        ("", "is empty"),
        ("{}", "begins with an empty object"),
        ("{\"id\": 1}", "begins with a row of the keys id"),
        ("a;b\n", "begins with \"a;b\""),
    ] {
        case.write("bad.json", text);
        let run = refused(&case, &["-i", "bad.json"]);
        let expect = format!("error: bad.json: {expect}, which is none of the known formats: ");
        assert!(run.stderr.starts_with(&expect), "{}", run.stderr);
        assert!(run.stderr.contains("\nhint: --input-format NAME"), "{}", run.stderr);
    }
    std::fs::write(case.path("bad.json"), b"[\n\"\xff\"]").unwrap();
    let expect = "error: bad.json:2: invalid UTF-8 at byte 3, expected UTF-8 text";
    check(&case, &["-i", "bad.json"], expect);
}

/// A generator config that works, but for one value.
pub(super) fn config(pointer: &str, value: Value) -> Value {
    let text = root().join("testdata/text/small.txt").display().to_string();
    let mut config = json!({
        "filetype": "generate_conversations", "num_conversations": 2, "text_files": [text],
        "prompt_input": {
            "num_turns": {"distribution": "constant", "value": 4},
            "prefix_num_tokens": {"distribution": "constant", "value": 5},
            "num_tokens": {"distribution": "uniform", "min": 40, "max": 50},
        },
        "prompt_output": {"num_tokens": {"distribution": "constant", "value": 9}},
    });
    *config.pointer_mut(pointer).expect("a key of the config") = value;
    config
}

#[test]
fn generator_configs_that_cannot_work_are_refused_with_the_fields_path() {
    let case = Case::new(Behaviour::default());
    for (pointer, value, expect) in [
        ("/filetype", json!("x"), "filetype is \"x\", allowed is \"generate_conversations\""),
        ("/num_conversations", json!(0), "num_conversations is 0, allowed is"),
        ("/num_conversations", json!(1.5), "num_conversations is 1.5, allowed is"),
        ("/text_files", json!([]), "text_files is [], allowed is"),
        (
            "/text_files",
            json!(["gone.txt"]),
            "text_files[0] is \"gone.txt\", which cannot be read: No such file",
        ),
        ("/prompt_input/num_turns", json!({}), "prompt_input.num_turns.distribution is missing"),
        (
            "/prompt_input/num_turns/distribution",
            json!("normal"),
            "prompt_input.num_turns.distribution is \"normal\", allowed is",
        ),
        ("/prompt_input/num_tokens/min", json!(60), "prompt_input.num_tokens.m"),
        ("/prompt_input/num_tokens/max", json!("50"), "prompt_input.num_tokens.max is \"50\""),
        (
            "/prompt_input/num_turns/value",
            json!(2.5),
            "prompt_input.num_turns.value is 2.5, allowed is",
        ),
        (
            "/prompt_output/num_tokens/value",
            json!(100_000),
            "tokens, but the answer of conversation 0, message 1, needs more \
             than 100000\nhint: add text files, or lower",
        ),
    ] {
        case.write("config.json", &config(pointer, value.clone()).to_string());
        for command in ["run", "generate"] {
            let run = if command == "run" {
                refused(&case, &["-i", "config.json"])
            } else {
                let tokenizer = root().join("testdata/tokenizer/bpe");
                let mut generate = turnbench(case.folder.path());
                generate.args(["generate", "-i", "config.json", "-m"]).arg(tokenizer);
                ended(&mut generate)
            };
            assert_eq!(run.code, Some(2), "{command} {pointer} {value}: {}", run.stderr);
            assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
            assert!(run.stderr.contains(expect), "{command} {pointer} {value}: {}", run.stderr);
        }
    }
    case.write("config.json", &config("/prompt_input/num_tokens/min", json!(45)).to_string());
    let run = case.run(&["-i", "config.json", "-n", "1"]);
    assert_eq!((run.code, run.stderr.contains("error")), (Some(0), false), "{}", run.stderr);
}

#[test]
fn keys_without_effect_get_a_warning_that_names_them() {
    let case = Case::new(Behaviour::default());
    let mut unknown = config("/num_conversations", json!(1));
    unknown["prompt_input"]["num_tokens"]["maxx"] = json!(1);
    case.write("config.json", &unknown.to_string());
    let run = case.run(&["-i", "config.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let expect = "warning: config.json: prompt_input.num_tokens.maxx is an unknown key and has no \
                  effect\n";
    assert!(run.stderr.starts_with(expect), "{}", run.stderr);

    let mut list = json!([plain("a", 1)]);
    list[0]["mesages"] = json!(1);
    case.conversations(&list);
    let run = case.run(&["--run-dir", "none"]);
    let expect = "warning: input.json: [0].mesages is an unknown key and has no effect\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), expect));
}

#[test]
fn a_workload_without_anything_to_send_is_refused() {
    let case = Case::new(Behaviour::default());
    let expect = "error: there is nothing to send: no conversation has a message to answer\nhint: \
                  a user message is one, within --max-turns messages from the start\n";
    let system = json!({"role": "system", "content": "x"});
    case.conversations(&json!([{"id": "a", "messages": [system]}]));
    let run = case.run(&[]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.ends_with(expect), "{}", run.stderr);
    let user = json!({"role": "user", "content": "y"});
    case.conversations(&json!([{"id": "a", "messages": [system, user]}]));
    let run = case.run(&["--max-turns", "1"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), expect));
    assert!(!case.path("run").exists());
}
