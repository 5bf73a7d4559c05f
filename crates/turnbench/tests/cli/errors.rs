//! Every complaint of the binary, provoked once: the exit code, one clear message that names the
//! flag or the file, what was seen and what is allowed, and nothing sent to the server.

use crate::support::bin::{root, turnbench};
use crate::support::case::{Case, Ended, ended, plain};
use crate::support::stub::{Behaviour, Stub};
use serde_json::{Value, json};

/// Runs with these arguments; expects to be refused before anything is printed or sent.
fn refused(case: &Case, args: &[&str]) -> Ended {
    let run = case.run(args);
    assert_eq!(run.stdout, "", "{args:?}");
    assert!(case.stub.posts().is_empty(), "{args:?}");
    assert!(!case.path("run").exists(), "{args:?}: a run directory was left");
    run
}

/// Expects exactly this message (the first lines of it for what clap itself refuses) and exit 2.
fn check(case: &Case, args: &[&str], expect: &str) {
    let run = refused(case, args);
    let text = run.stderr.replace(&case.stub.url(), "URL");
    let text = text.split("\n\nFor more information").next().unwrap().trim_end();
    assert_eq!(text, expect, "{args:?}");
    assert_eq!(run.code, Some(2), "{args:?}");
}

#[test]
fn numbers_outside_their_range_are_refused_with_the_range() {
    let case = Case::new(Behaviour::default());
    for (args, expect) in [
        (&["-p", "0"][..], "--num-clients is 0; it must be at least 1"),
        (&["-p", "-1"], "--num-clients is -1; it must be at least 1"),
        (
            &["-p", "3"],
            "--num-clients is 3, but the number of conversations is 2; every client needs one of \
             its own\nhint: use fewer clients or more conversations",
        ),
        (
            &["-p", "2", "-k", "1"],
            "--max-active-conversations is 1; it must be from 2 (--num-clients) to 2 (all \
             conversations)",
        ),
        (
            &["-k", "3"],
            "--max-active-conversations is 3; it must be from 1 (--num-clients) to 2 (all \
             conversations)",
        ),
        (
            &["-p", "2", "-n", "1"],
            "--max-num-requests is 1; it must be at least 2 (--num-clients), one request for each \
             client",
        ),
        (&["--max-turns", "0"], "--max-turns is 0; it must be at least 1"),
        (
            &["--request-rate", "-0.5"],
            "--request-rate is -0.5; it must be 0 (no pause) or a positive number per second",
        ),
        (
            &["--request-rate", "nan"],
            "--request-rate is NaN; it must be 0 (no pause) or a positive number per second",
        ),
        (
            &["--max-retries", "-1"],
            "--max-retries (or MULTITURN_BENCH_MAX_RETRIES) is -1; it must be from 0 to 100",
        ),
        (&["--request-timeout-sec", "0"], "--request-timeout-sec is 0; it must be at least 1"),
        (
            &["--limit-max-tokens", "3"],
            "--limit-min-tokens is 0 and --limit-max-tokens is 3; give both as positive numbers, \
             or neither\nhint: the same number twice fixes the answers' length",
        ),
        (
            &["--limit-min-tokens", "9", "--limit-max-tokens", "3"],
            "--limit-min-tokens is 9, more than --limit-max-tokens, 3",
        ),
        (
            &["--limit-min-tokens", "5000000000", "--limit-max-tokens", "5000000000"],
            "--limit-min-tokens is 5000000000; it must be at most 4294967295",
        ),
        (
            &["--compat", "vllm", "--seed", "4294967296"],
            "--seed is 4294967296; with --compat vllm it must be at most 4294967295 (2^32 - 1)",
        ),
    ] {
        check(&case, args, &format!("error: {expect}"));
    }
}

#[test]
fn numbers_that_are_none_are_refused_with_what_is_allowed() {
    let case = Case::new(Behaviour::default());
    let whole = "it must be a whole number";
    for (flag, value, name, allowed) in [
        ("-p", "two", "num-clients <N>", whole),
        ("-k", "1.5", "max-active-conversations <N>", whole),
        ("-n", "99999999999999999999", "max-num-requests <N>", whole),
        ("--request-timeout-sec", "1.5", "request-timeout-sec <SECONDS>", whole),
        ("--request-rate", "fast", "request-rate <RATE>", "it must be a number, such as 2 or 0.5"),
        ("--seed", "-1", "seed <SEED>", "it must be a whole number from 0 to 18446744073709551615"),
    ] {
        let expect = format!("error: invalid value '{value}' for '--{name}': {allowed}");
        check(&case, &[flag, value], &expect);
    }
}

#[test]
fn texts_that_cannot_be_understood_are_refused() {
    let case = Case::new(Behaviour::default());
    let percentages = |part: &str| {
        format!(
            "--warmup-percentages has '{part}'; it is a comma-separated list of percentages from \
             0% to less than 100%"
        )
    };
    let header = |text: &str| {
        format!(
            "invalid value '{text}' for '--header <HEADER>': headers are given as 'Name: value' or \
             'Name=value'"
        )
    };
    for (args, expect) in [
        (["--warmup-percentages", "0%,100%"], percentages("100%")),
        (["--warmup-percentages", "many"], percentages("many")),
        (["--warmup-percentages", ""], percentages("")),
        (["--header", "nothing"], header("nothing")),
        (["--header", ": x"], header(": x")),
        (
            ["--extra-body", "{"],
            "--extra-body is not JSON: EOF while parsing an object at line 1 column 1".to_owned(),
        ),
        (
            ["--extra-body", "[1]"],
            "--extra-body is [1]; it must be a JSON object, like '{\"temperature\": 0}'".to_owned(),
        ),
        (
            ["--extra-body", r#"{"stream": false}"#],
            "--extra-body has the key 'stream', which has flags of its own\nhint: \
             --served-model-name, --input-file and --no-stream set these"
                .to_owned(),
        ),
        (
            ["--conversation-sampling", "sorted"],
            "invalid value 'sorted' for '--conversation-sampling <HOW>'\n  [possible values: \
             round_robin, random]"
                .to_owned(),
        ),
        (
            ["--compat", "x"],
            "invalid value 'x' for '--compat <PROGRAM>'\n  [possible values: vllm]".to_owned(),
        ),
        (
            ["--url", "localhost:8000"],
            "--url `localhost:8000`: its scheme must be http or https\nhint: give a base url such \
             as http://localhost:8000"
                .to_owned(),
        ),
        (
            ["--url", "http://u:p@h"],
            "--url `http://u:p@h`: a user name or password in it is not sent, use --header\nhint: \
             give a base url such as http://localhost:8000"
                .to_owned(),
        ),
    ] {
        check(&case, &args, &format!("error: {expect}"));
    }
}

#[test]
fn files_that_cannot_be_read_or_written_are_named() {
    let case = Case::new(Behaviour::default());
    let missing = "No such file or directory (os error 2)";
    let unwritable = |flag: &str| {
        format!(
            "{flag}: cannot write 'no/x.json': {missing}\nhint: name a file in a directory that \
             exists"
        )
    };
    for (args, expect) in [
        (["-i", "none.json"], format!("cannot read none.json: {missing}")),
        (["-i", "."], "cannot read .: Is a directory (os error 21)".to_owned()),
        (["-o", "no/x.json"], unwritable("--output-file")),
        (["--stats-json-output", "no/x.json"], unwritable("--stats-json-output")),
        (["--ca-cert", "no.pem"], format!("--ca-cert 'no.pem': {missing}")),
    ] {
        check(&case, &args, &format!("error: {expect}"));
    }
    let https = case.stub.url().replace("http:", "https:");
    let run = refused(&case, &["--url", &https, "--ca-cert", "input.json"]);
    let expect = "error: --ca-cert input.json: no certificate in it, a PEM file is expected\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), expect));
}

#[test]
fn the_excel_file_needs_a_writable_working_directory() {
    use std::os::unix::fs::PermissionsExt;
    let case = Case::new(Behaviour::default());
    let folder = case.folder.path();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    if case.path("probe").exists() || std::fs::write(case.path("probe"), "").is_ok() {
        return; // The user is root, for whom everything is writable.
    }
    let run = case.run(&["-e", "--run-dir", "none"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("--excel-output: cannot write 'statistics_"), "{}", run.stderr);
}

#[test]
fn a_run_directory_with_files_in_it_is_not_written_into() {
    let case = Case::new(Behaviour::default());
    let run = case.run(&["--run-dir", "."]);
    let expect = "error: --run-dir: '.' exists and is not empty\nhint: name a new directory, or \
                  none for no files\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), expect));
    assert!(case.stub.posts().is_empty());
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

#[test]
fn a_run_directory_that_cannot_be_made_is_named() {
    let case = Case::new(Behaviour::default());
    let run = case.run(&["--run-dir", "input.json"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.starts_with("error: --run-dir: cannot create 'input.json'"),
        "{}",
        run.stderr
    );
    assert!(case.stub.posts().is_empty());
}

#[test]
fn more_clients_than_there_can_be_sockets_are_refused() {
    let case = Case::new(Behaviour::default());
    let list: Vec<Value> = (0..50).map(|index| plain(&index.to_string(), 1)).collect();
    case.conversations(&Value::Array(list));
    let binary = assert_cmd::cargo::cargo_bin("turnbench").display().to_string();
    let mut shell = assert_cmd::Command::new("sh");
    shell.current_dir(case.folder.path()).args(["-c", "ulimit -n 100; exec \"$@\"", "sh", &binary]);
    let run = ended(shell.args(case.arguments(&["-p", "50"])));
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let expect = "error: --num-clients is 50, but this process may open 100 files, enough for 36 \
                  clients\nhint: raise the limit (ulimit -n)\n";
    assert_eq!(run.stderr, expect);
}

#[test]
fn malformed_inputs_are_refused_with_file_and_place() {
    let case = Case::new(Behaviour::default());
    let list = "allowed is a list with one message at least";
    for (text, expect) in [
        ("[1,\n 2,,]", ":2:4: malformed JSON: expected value".to_owned()),
        ("[1,\n", ":2:0: malformed JSON: EOF while parsing a value".to_owned()),
        (
            "5",
            ": the document is 5, allowed is a list of conversations, or a generator config (an \
             object with \"filetype\": \"generate_conversations\")"
                .to_owned(),
        ),
        (
            "{}",
            ": filetype is missing, allowed is \"generate_conversations\"\nhint: an input file is \
             a generator config, or a JSON list of conversations"
                .to_owned(),
        ),
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
            ": [1].id is \"a\", as [0].id already is, allowed is an id that no other conversation \
             has"
            .to_owned(),
        ),
    ] {
        case.write("bad.json", text);
        check(&case, &["-i", "bad.json"], &format!("error: bad.json{expect}"));
    }
    case.write("bad.json", "[]");
    let expect = "error: --input-file 'bad.json' is an empty list; there must be at least one \
                  conversation";
    check(&case, &["-i", "bad.json"], expect);
    std::fs::write(case.path("bad.json"), b"[\n\"\xff\"]").unwrap();
    let expect = "error: bad.json:2: invalid UTF-8 at byte 3, expected UTF-8 text";
    check(&case, &["-i", "bad.json"], expect);
}

/// A generator config that works, but for one value.
fn config(pointer: &str, value: Value) -> Value {
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
        ("/text_files", json!(["gone.txt"]), "cannot read gone.txt: No such file"),
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
fn tokenizers_that_are_not_there_are_named() {
    let case = Case::new(Behaviour::default());
    let allowed = "allowed is a directory, a Hub id such as meta-llama/Llama-3.1-8B-Instruct, \
                   builtin:o200k_base, builtin:cl100k_base, server or none";
    std::fs::create_dir(case.path("empty")).unwrap();
    for (args, expect) in [
        (
            ["--tokenizer", "builtin:x"],
            "--tokenizer: builtin tokenizer is \"x\", allowed is o200k_base or cl100k_base"
                .to_owned(),
        ),
        (
            ["--tokenizer", "./none"],
            format!(
                "--tokenizer: tokenizer is \"./none\", {allowed}\nhint: there is no such directory"
            ),
        ),
        (
            ["-m", "/no/such/model"],
            format!(
                "--model: tokenizer is \"/no/such/model\", {allowed}\nhint: there is no such directory"
            ),
        ),
    ] {
        check(&case, &args, &format!("error: {expect}"));
    }
    let run = refused(&case, &["--tokenizer", "empty"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.starts_with("error: no tokenizer.json in empty\nhint: "), "{}", run.stderr);

    // A generator config needs a tokenizer.
    case.write("config.json", &config("/num_conversations", json!(2)).to_string());
    let run = refused(&case, &["-i", "config.json", "--tokenizer", "none"]);
    let expect = "error: --tokenizer is none, but the input file is a generator config, whose \
                  conversations are made with a tokenizer\nhint: --tokenizer builtin:o200k_base\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(2), expect));

    // The server of this test has none.
    let mut command = case.command(&["-i", "config.json", "--tokenizer", "server"]);
    let run = ended(&mut command);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
    assert!(run.stderr.contains("/tokenize"), "{}", run.stderr);
}

#[test]
fn a_hub_that_cannot_be_reached_is_named() {
    let case = Case::new(Behaviour::default());
    let mut command = case.command(&["-m", "no-such-model"]);
    let run = ended(command.env("HF_ENDPOINT", "http://127.0.0.1:9").env("HF_HOME", "cache"));
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let start = "error: cannot reach http://127.0.0.1:9 for \"no-such-model\", and cache/hub does \
                 not hold it: ";
    assert!(run.stderr.starts_with(start), "{}", run.stderr);
    assert!(run.stderr.contains("\nhint: check the network and HF_ENDPOINT"), "{}", run.stderr);
}

#[test]
fn a_server_that_is_not_there_is_exit_code_3() {
    let case = Case::new(Behaviour::default());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    for tokenizer in [&[][..], &["--tokenizer", "server"], &["--tokenizer", "none"]] {
        let run = refused(&case, &[&["--url", &url], tokenizer].concat());
        assert_eq!(run.code, Some(3), "{}", run.stderr);
        let expect = format!(
            "error: no answer from {url}/version: cannot connect to {closed}: Connection refused \
             (os error 111)\nhint: is the server running, and is this its url?\n"
        );
        assert!(run.stderr.ends_with(&expect), "{}", run.stderr);
    }
    let run = refused(&case, &["--url", "http://no-such-host.invalid"]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(run.stderr.contains("cannot resolve host no-such-host.invalid"), "{}", run.stderr);
}

#[test]
fn a_model_that_the_server_does_not_have_is_answered_with_those_it_has() {
    let case = Case::new(Behaviour::default());
    let expect = "error: the server at URL has no model 'other'; it has: stub-model\nhint: \
                  --served-model-name stub-model";
    check(&case, &["--served-model-name", "other"], expect);
    // A server that lists no models may have it.
    let case = Case::new(Behaviour { no_server_info: true, ..Behaviour::default() });
    let run = case.run(&["--served-model-name", "other"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn arguments_that_do_not_exist_or_exclude_each_other_are_refused() {
    let case = Case::new(Behaviour::default());
    for (args, expect) in [
        (&["--bogus"][..], "error: unexpected argument '--bogus' found"),
        (&["--num-clients"], "error: a value is required for '--num-clients <N>' but none was"),
        (
            &["--early-stop", "--no-early-stop"],
            "error: the argument '--early-stop' cannot be used with '--no-early-stop'",
        ),
    ] {
        let run = refused(&case, args);
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.starts_with(expect), "{}", run.stderr);
    }
    let run = ended(turnbench(case.folder.path()).arg("run"));
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("--input-file <FILE>\n  --model <MODEL>"), "{}", run.stderr);
}

#[test]
fn generate_and_report_refuse_what_is_not_theirs() {
    let case = Case::new(Behaviour::default());
    let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
    case.write("config.json", &config("/num_conversations", json!(2)).to_string());
    for (args, expect) in [
        (
            &["generate", "-i", "input.json", "-m", &tokenizer][..],
            "--input-file 'input.json' is a list of conversations already; generate takes a \
             generator config\nhint: turnbench run takes either",
        ),
        (
            &["generate", "-i", "config.json", "-m", "none"],
            "--tokenizer is 'server' or 'none'; this command needs a tokenizer of its own: a \
             directory, a Hub id, builtin:o200k_base or builtin:cl100k_base",
        ),
        (
            &["generate", "-i", "config.json", "-m", &tokenizer, "-o", "no/x.json"],
            "--output-file: cannot write 'no/x.json': No such file or directory (os error 2)\n\
             hint: name a file in a directory that exists",
        ),
        (
            &["report", "."],
            "'.' is not a run directory: it has no plan.json\nhint: name a directory that \
             turnbench run wrote",
        ),
        (
            &["report", "gone"],
            "there is no directory 'gone'\nhint: name a directory that turnbench run wrote",
        ),
    ] {
        let run = ended(turnbench(case.folder.path()).args(args));
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}: {}", run.stderr);
        assert_eq!(run.stderr, format!("error: {expect}\n"), "{args:?}");
    }
}

#[test]
fn a_wrong_api_key_is_refused_before_the_run() {
    let key = Stub::start(Behaviour { demand_key: Some("right".into()), ..Behaviour::default() });
    let case = Case { stub: key, ..Case::new(Behaviour::default()) };
    let expect = "error: the server at URL refuses the API key (HTTP 401)\nhint: --api-key KEY, \
                  or OPENAI_API_KEY";
    check(&case, &["--api-key", "wrong"], expect);
    check(&case, &[], &expect.replace("refuses the API key", "demands an API key"));
    let run = case.run(&["--api-key", "right"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}
