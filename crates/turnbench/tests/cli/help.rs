//! The command line as it is shown and as it is understood: `--help` of every command, versions,
//! abbreviated flags, and every flag of the reference program with its names and its default.

use crate::support::bin::turnbench;
use crate::support::case::{Case, Ended, ended, plain};
use crate::support::stub::Behaviour;
use serde_json::{Value, json};

fn turnbench_with(args: &[&str]) -> Ended {
    ended(turnbench(std::path::Path::new(".")).args(args))
}

fn help(command: &[&str]) -> String {
    let run = turnbench_with(&[command, &["--help"]].concat());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{command:?}");
    run.stdout
}

#[test]
fn help_of_every_command() {
    insta::assert_snapshot!("help", help(&[]));
    for command in ["run", "generate", "convert", "inspect", "serve", "selfcheck", "demo", "report"]
    {
        insta::assert_snapshot!(format!("help_{command}"), help(&[command]));
    }
    insta::assert_snapshot!("help_cache", help(&["cache"]));
    insta::assert_snapshot!("help_cache_analyze", help(&["cache", "analyze"]));
}

#[test]
fn no_line_of_help_is_wider_than_100_columns() {
    for command in [
        &[][..],
        &["run"],
        &["generate"],
        &["convert"],
        &["inspect"],
        &["cache"],
        &["cache", "analyze"],
        &["serve"],
        &["selfcheck"],
        &["demo"],
        &["report"],
    ] {
        for line in help(command).lines() {
            assert!(line.chars().count() <= 100, "{command:?}: {line}");
        }
    }
}

#[test]
fn the_version_is_shown_by_each_command() {
    let version = env!("CARGO_PKG_VERSION");
    for (args, name) in [(&["--version"][..], "turnbench"), (&["-V"], "turnbench")] {
        assert_eq!(turnbench_with(args).stdout, format!("{name} {version}\n"));
    }
    for command in ["run", "generate", "convert", "inspect", "serve", "selfcheck", "demo", "report"]
    {
        let run = turnbench_with(&[command, "--version"]);
        assert_eq!(run.stdout, format!("turnbench {version}\n"), "{command}");
    }
}

#[test]
fn help_is_a_command_too() {
    assert_eq!(turnbench_with(&["help"]).stdout, help(&[]));
    assert_eq!(turnbench_with(&["help", "run"]).stdout, help(&["run"]));
}

#[test]
fn the_long_help_of_run_tells_the_exit_codes() {
    let long = help(&["run"]);
    for code in ["0  ", "1  ", "2  ", "3  ", "4  ", "130"] {
        assert!(long.contains(&format!("\n  {code}  ")), "{code}: {long}");
    }
}

/// A flag of the reference program with a value other than the default.
struct Flag {
    long: &'static str,
    short: Option<&'static str>,
    value: Option<&'static str>,
    /// Where it shows in the plan.
    pointer: &'static str,
    /// What the plan has without and with it.
    default: Value,
    given: Value,
}

fn flag(
    names: (&'static str, Option<&'static str>),
    value: Option<&'static str>,
    pointer: &'static str,
    default: Value,
    given: Value,
) -> Flag {
    Flag { long: names.0, short: names.1, value, pointer, default, given }
}

/// The reference's flags that change the plan. `limit-min-tokens` and `limit-max-tokens` only work
/// together, so they are given together.
fn reference_flags() -> Vec<Flag> {
    let null = || Value::Null;
    vec![
        flag(("--seed", None), Some("7"), "/load/seed", json!(0), json!(7)),
        flag(("--num-clients", Some("-p")), Some("2"), "/load/num_clients", json!(1), json!(2)),
        flag(
            ("--max-active-conversations", Some("-k")),
            Some("3"),
            "/load/max_active_conversations",
            json!(1),
            json!(3),
        ),
        flag(
            ("--max-num-requests", Some("-n")),
            Some("2"),
            "/load/max_num_requests",
            null(),
            json!(2),
        ),
        flag(("--warmup-step", None), None, "/load/warmup_step", json!(false), json!(true)),
        flag(("--max-turns", None), Some("3"), "/load/max_turns", null(), json!(3)),
        flag(("--no-early-stop", None), None, "/load/early_stop", json!(false), json!(false)),
        flag(
            ("--limit-max-tokens", None),
            Some("-1"),
            "/request/limit_max_tokens",
            json!(0),
            json!(-1),
        ),
        flag(
            ("--limit-min-tokens", None),
            Some("-1"),
            "/request/limit_min_tokens",
            json!(0),
            json!(-1),
        ),
        flag(
            ("--request-rate", None),
            Some("100000"),
            "/load/request_rate",
            json!(0.0),
            json!(100_000.0),
        ),
        flag(("--max-retries", None), Some("3"), "/load/max_retries", json!(0), json!(3)),
        flag(
            ("--conversation-sampling", None),
            Some("random"),
            "/load/sampling",
            json!("round_robin"),
            json!("random"),
        ),
        flag(("--verify-output", None), None, "/request/verify_output", json!(false), json!(true)),
        flag(
            ("--request-timeout-sec", None),
            Some("9"),
            "/request/timeout_ns",
            json!(120_000_000_000_u64),
            json!(9_000_000_000_u64),
        ),
        flag(("--no-stream", None), None, "/request/stream", json!(true), json!(false)),
        flag(
            ("--send-conversation-id", None),
            None,
            "/request/send_conversation_id",
            json!(false),
            json!(true),
        ),
        flag(
            ("--warmup-percentages", None),
            Some("50%,0%"),
            "/warmup_fractions",
            json!([0.0]),
            json!([0.0, 0.5]),
        ),
        flag(("--api-key", None), Some("k"), "/target/api_key", json!(false), json!(true)),
        flag(("--header", None), Some("X-A: b"), "/target/header_names", json!([]), json!(["X-A"])),
    ]
}

/// Flags of the reference program that only choose what is written.
const OUTPUT_FLAGS: [&[&str]; 6] = [
    &["--output-file", "o.json"],
    &["--stats-json-output", "s.json"],
    &["--excel-output"],
    &["--verbose"],
    &["--print-content"],
    &["--trust-remote-code"],
];
const OUTPUT_FLAGS_SHORT: [&[&str]; 3] = [&["-o", "o.json"], &["-e"], &["-v"]];

/// The plan of a run with these arguments.
fn plan(args: &[&str]) -> Value {
    let case = Case::new(Behaviour::default());
    case.conversations(&json!([plain("a", 2), plain("b", 2), plain("c", 2)]));
    let run = case.run(args);
    assert!(matches!(run.code, Some(0 | 1)), "{args:?}: {}", run.stderr);
    case.json("run/plan.json")
}

#[test]
fn every_flag_of_the_reference_has_its_names_and_its_default() {
    let default = plan(&[]);
    for flag in reference_flags() {
        let at = |plan: &Value| plan.pointer(flag.pointer).cloned().unwrap_or_default();
        assert_eq!(at(&default), flag.default, "default of {}", flag.long);
        let value = flag.value.as_slice();
        let given = plan(&[&[flag.long], value].concat());
        assert_eq!(at(&given), flag.given, "{}", flag.long);
        if let Some(short) = flag.short {
            assert_eq!(at(&plan(&[&[short], value].concat())), flag.given, "{short}");
        }
    }
    assert_eq!(plan(&["-p", "2"]).pointer("/load/max_active_conversations"), Some(&json!(2)));
    for args in OUTPUT_FLAGS.iter().chain(&OUTPUT_FLAGS_SHORT) {
        plan(args);
    }
    let url = turnbench_with(&["run", "--help"]).stdout;
    assert!(url.contains("[default: http://localhost:8000]"), "{url}");
}

#[test]
fn long_flags_may_be_abbreviated_as_far_as_they_stay_unique() {
    let given = plan(&["--num-c", "2", "--max-a=3", "--request-r", "5", "--conv", "random"]);
    assert_eq!(given.pointer("/load/num_clients"), Some(&json!(2)));
    assert_eq!(given.pointer("/load/max_active_conversations"), Some(&json!(3)));
    assert_eq!(given.pointer("/load/request_rate"), Some(&json!(5.0)));
    assert_eq!(given.pointer("/load/sampling"), Some(&json!("random")));
    let case = Case::new(Behaviour::default());
    let run = case.run(&["--max", "2"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: unexpected argument '--max' found"), "{}", run.stderr);
}

#[test]
fn a_flag_given_twice_counts_the_last_time_and_headers_add_up() {
    let plan = plan(&["-p", "3", "-p", "2", "--header", "A: 1", "--header", "B=2"]);
    assert_eq!(plan.pointer("/load/num_clients"), Some(&json!(2)));
    assert_eq!(plan.pointer("/target/header_names"), Some(&json!(["A", "B"])));
}

#[test]
fn retries_and_the_api_key_may_come_from_the_environment() {
    let case = Case::new(Behaviour::default());
    let mut command = case.command(&[]);
    command.env("MULTITURN_BENCH_MAX_RETRIES", "4").env("OPENAI_API_KEY", "from-outside");
    let run = ended(&mut command);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.json("run/plan.json").pointer("/load/max_retries"), Some(&json!(4)));
    let sent = case.stub.posts()[0].header("authorization").map(str::to_owned);
    assert_eq!(sent.as_deref(), Some("Bearer from-outside"));
}
