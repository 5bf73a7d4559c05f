//! Values of flags.

use serde_json::Value;

use crate::support::bin::turnbench;
use crate::support::case::{Case, ended, plain};
use crate::support::stub::Behaviour;

use super::{check, refused};

#[test]
fn numbers_outside_their_range_are_refused_with_the_range() {
    let case = Case::new(Behaviour::default());
    for (args, expect) in [
        (&["-p", "0"][..], "--num-clients is 0; it must be at least 1"),
        (&["-p", "-1"], "--num-clients is -1; it must be at least 1"),
        (&["--threads", "0"], "--threads is 0; it must be from 1 to 1024"),
        (&["--threads", "1025"], "--threads is 1025; it must be from 1 to 1024"),
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
    for (args, expect) in [
        (["--warmup-percentages", "0%,100%"], percentages("100%")),
        (["--warmup-percentages", "many"], percentages("many")),
        (["--warmup-percentages", ""], percentages("")),
        (
            ["--header", "Authorization Bearer sk-1234"],
            "--header: a header has no name that HTTP allows; it must be given as 'Name: value' or \
             'Name=value'"
                .to_owned(),
        ),
        (
            ["--header", "X-A: b\r\nX-B: c"],
            "--header: the value of 'X-A' has a control character, which HTTP does not allow"
                .to_owned(),
        ),
        (
            ["--extra-body", "{"],
            "--extra-body is not JSON: EOF while parsing an object at line 1 column 1\nhint: it is \
             a JSON object, like '{\"temperature\": 0}'"
                .to_owned(),
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
            "--url `http://***@h`: a user name or password in it is not sent, use --header\nhint: \
             give a base url such as http://localhost:8000"
                .to_owned(),
        ),
    ] {
        check(&case, &args, &format!("error: {expect}"));
    }
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
fn more_clients_than_there_can_be_sockets_are_refused() {
    let case = Case::new(Behaviour::default());
    let list: Vec<Value> = (0..50).map(|index| plain(&index.to_string(), 1)).collect();
    case.conversations(&Value::Array(list));
    let shell = |line: &str, args: &[String]| {
        let mut shell = assert_cmd::Command::new("sh");
        ended(shell.current_dir(case.folder.path()).args(["-c", line, "sh"]).args(args))
    };
    let mut arguments = vec![assert_cmd::cargo::cargo_bin("turnbench").display().to_string()];
    arguments.extend(case.arguments(&["-p", "50"]));
    let run = shell("ulimit -Sn 80; ulimit -Hn 100; exec \"$@\"", &arguments);
    // Who may raise the hard limit, as root outside of containers may, is not refused.
    if shell("ulimit -n 100; ulimit -Hn 120", &[]).code == Some(0) {
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        return;
    }
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let expect = "error: --num-clients is 50, but this process may open 100 files (`ulimit -Sn`: \
                  80, `ulimit -Hn`: 100), enough for 36 clients\nhint: raise the hard limit: \
                  `nofile` in /etc/security/limits.conf, `LimitNOFILE=` of a systemd unit, or \
                  `docker run --ulimit nofile=1048576`\n";
    assert_eq!(run.stderr, expect);
    let fewer = shell("ulimit -Sn 80; ulimit -Hn 120; exec \"$@\"", &arguments);
    assert_eq!(fewer.code, Some(0), "the soft limit is raised: {}", fewer.stderr);
}
