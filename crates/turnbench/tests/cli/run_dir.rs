//! The run directory: what is in it, that no secret is, that it is readable whatever ended the run,
//! and that `report` computes the same from it.

use std::path::Path;

use crate::support::bin::{generator_config, root, turnbench};
use crate::support::case::{Case, Ended, ended};
use crate::support::schema;
use crate::support::stub::Behaviour;
use serde_json::{Value, json};

/// `turnbench report` on the case's run directory.
fn report(case: &Case, more: &[&str]) -> Ended {
    ended(turnbench(case.folder.path()).args(["report", "run"]).args(more))
}

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_these_files_as_their_schemas_promise() {
    let case = Case::new(Behaviour::script(&["http500"]));
    let run = case.run(&[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let expect = [
        "environment.json",
        "plan.json",
        "prompt_blocks.jsonl",
        "prompts.json",
        "records.jsonl",
        "report.json",
        "run_facts.json",
        "server_metrics.jsonl",
        "token_counts.jsonl",
    ];
    assert_eq!(names(&case.path("run")), expect);
    schema::check("plan", &case.json("run/plan.json"));
    schema::check("run-report", &case.report());
    let records = std::fs::read_to_string(case.path("run/records.jsonl")).unwrap();
    assert_eq!(records.lines().count(), 3);
    for line in records.lines() {
        schema::check("record", &serde_json::from_str(line).unwrap());
    }
    let environment = case.json("run/environment.json");
    assert_eq!(environment["turnbench_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(environment["server_version"], "0.0.stub");
    assert_eq!(environment["server_models"], json!([{"id": "stub-model", "max_model_len": 4096}]));
    assert!(run.stderr.contains("run directory: run"), "{}", run.stderr);
}

#[test]
fn the_default_directory_is_named_after_time_and_model() {
    let case = Case::new(Behaviour::default());
    let mut arguments = case.arguments(&[]);
    let flag = arguments.iter().position(|arg| arg == "--run-dir").unwrap();
    arguments.drain(flag..flag + 2);
    let run = ended(turnbench(case.folder.path()).args(&arguments));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let runs = names(&case.path("runs"));
    assert_eq!(runs.len(), 1);
    let (time, model) = runs[0].split_once('-').unwrap();
    assert_eq!((time.len(), model), ("20260101T000000Z".len(), "bpe"), "{runs:?}");
}

#[test]
fn without_a_run_directory_nothing_is_written() {
    let case = Case::new(Behaviour::default());
    let run = case.run(&["--run-dir", "none"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(names(case.folder.path()), ["input.json"]);
    assert_eq!(run.stderr, "");
}

#[test]
fn no_secret_is_printed_or_stored() {
    let case = Case::new(Behaviour::script(&["http401", "http500"]));
    let secrets = ["sesame-4711", "token-0815", "cookie-1234"];
    let mut command = case.command(&["-v", "--header", "X-Token: token-0815"]);
    command.args(["--header", "Cookie=cookie-1234", "--stats-json-output", "s.json"]);
    let run = ended(command.env("OPENAI_API_KEY", secrets[0]));
    let post = &case.stub.posts()[0];
    assert_eq!(post.header("authorization"), Some("Bearer sesame-4711"));
    assert_eq!(
        (post.header("x-token"), post.header("cookie")),
        (Some(secrets[1]), Some(secrets[2]))
    );
    let mut texts = vec![("stdout".to_owned(), run.stdout), ("stderr".to_owned(), run.stderr)];
    for name in names(&case.path("run")) {
        let text = std::fs::read_to_string(case.path("run").join(&name)).unwrap();
        texts.push((name, text));
    }
    texts.push(("s.json".to_owned(), std::fs::read_to_string(case.path("s.json")).unwrap()));
    for (name, text) in texts {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {name}");
        }
    }
    let plan = case.json("run/plan.json");
    assert_eq!(plan["target"]["header_names"], json!(["X-Token", "Cookie"]));
    let help =
        ended(turnbench(Path::new(".")).args(["run", "--help"]).env("OPENAI_API_KEY", secrets[0]));
    assert!(!help.stdout.contains(secrets[0]), "{}", help.stdout);
}

#[test]
fn report_prints_what_the_run_printed() {
    for args in [&[][..], &["-v"], &["--warmup-step"], &["--warmup-percentages", "0%,50%"]] {
        let case = Case::new(Behaviour::script(&["normal", "normal", "http500"]));
        let run = case.run(args);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let report = report(&case, &[]);
        assert_eq!((report.code, report.stderr.as_str()), (Some(0), ""), "{args:?}");
        // The run printed the input's own statistics before.
        assert!(
            run.stdout.ends_with(&report.stdout),
            "{args:?}: {}\n{}",
            run.stdout,
            report.stdout
        );
        assert!(report.stdout.contains("Statistics summary"), "{}", report.stdout);
    }
}

#[test]
fn report_of_a_generated_workload_prints_the_same_too() {
    let case = Case::new(Behaviour::default());
    for name in ["tokenizer", "text"] {
        std::os::unix::fs::symlink(root().join("testdata").join(name), case.path(name)).unwrap();
    }
    generator_config(case.folder.path(), "constant_all.json");
    let run = case.run(&["-i", "constant_all.json", "-n", "3"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report = report(&case, &[]);
    assert_eq!(run.stdout, report.stdout);
    assert!(run.stdout.contains("Conversations Generation Parameters:"), "{}", run.stdout);
}

#[test]
fn json_on_standard_output_is_the_report_and_nothing_else() {
    let case = Case::new(Behaviour::script(&["http500"]));
    let run = case.run(&["--format", "json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let printed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(printed, case.report());
    let again = report(&case, &["--format", "json"]);
    assert_eq!(again.stdout, run.stdout);
}

#[test]
fn report_reads_a_directory_whose_run_was_cut_short() {
    let case = Case::new(Behaviour::default());
    case.run(&[]);
    for name in ["report.json", "run_facts.json", "token_counts.jsonl"] {
        std::fs::remove_file(case.path("run").join(name)).unwrap();
    }
    // The last record is cut in its middle.
    let records = std::fs::read(case.path("run/records.jsonl")).unwrap();
    std::fs::write(case.path("run/records.jsonl"), &records[..records.len() - 40]).unwrap();
    let report = report(&case, &[]);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    assert!(report.stdout.contains("3 completed, 0 failed"), "{}", report.stdout);
    assert!(report.stderr.contains("warning: the run was cut short"), "{}", report.stderr);
    assert!(report.stderr.contains("the last record was cut"), "{}", report.stderr);
}

#[test]
fn a_damaged_record_is_named_and_left_out() {
    let case = Case::new(Behaviour::default());
    case.run(&[]);
    let records = std::fs::read_to_string(case.path("run/records.jsonl")).unwrap();
    let mut lines: Vec<&str> = records.lines().collect();
    lines[1] = "{\"turn\": \"one\"}";
    std::fs::write(case.path("run/records.jsonl"), lines.join("\n") + "\n").unwrap();
    let damaged = report(&case, &[]);
    assert_eq!(damaged.code, Some(0), "{}", damaged.stderr);
    assert!(damaged.stdout.contains("3 completed, 0 failed"), "{}", damaged.stdout);
    let warning = "records.jsonl has 1 damaged lines, the first is line 2";
    assert!(damaged.stderr.contains(warning), "{}", damaged.stderr);

    std::fs::write(case.path("run/plan.json"), "{}").unwrap();
    let broken = report(&case, &[]);
    assert_eq!(broken.code, Some(2));
    assert!(broken.stderr.starts_with("error: 'run/plan.json' line 1 is not"), "{}", broken.stderr);
}

#[test]
fn report_tells_that_a_plan_is_of_another_version() {
    let case = Case::new(Behaviour::default());
    case.run(&[]);
    let mut plan = case.json("run/plan.json");
    plan["schema_version"] = json!(999);
    std::fs::write(case.path("run/plan.json"), plan.to_string()).unwrap();
    let run = report(&case, &[]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    let expect = "error: 'run/plan.json' is of version 999; this turnbench reads version 1\nhint: use \
                  the turnbench that wrote it\n";
    assert_eq!(run.stderr, expect);
}

/// Names of all properties in a schema, those of definitions included.
fn properties(schema: &Value, names: &mut Vec<String>) {
    let own = schema["properties"].as_object().into_iter().flatten();
    names.extend(own.map(|(name, _)| name.clone()));
    for definition in schema["$defs"].as_object().into_iter().flat_map(|all| all.values()) {
        properties(definition, names);
    }
}

#[test]
fn every_field_of_a_record_is_in_the_prose() {
    let read = |path: &str| std::fs::read_to_string(root().join("docs").join(path)).unwrap();
    let schema: Value = serde_json::from_str(&read("schema/record.json")).unwrap();
    let mut names = Vec::new();
    properties(&schema, &mut names);
    assert!(names.len() > 40, "{names:?}");
    let prose = read("records.md");
    names.retain(|name| !prose.contains(&format!("`{name}`")));
    assert_eq!(names, [""; 0]);
}
