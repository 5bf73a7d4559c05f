//! The files that a run writes on demand, and that one which fails does not take others with it.

use crate::support::case::{Case, Ended, ended, plain};
use crate::support::stub::Behaviour;
use serde_json::{Value, json};

#[test]
fn statistics_list_completed_requests_and_failed_ones_beside_them() {
    let case = Case::new(Behaviour::script(&["normal", "normal", "http500"]));
    let run = case.run(&["--stats-json-output", "stats.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let stats = case.json("stats.json");
    let rows = stats.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let keys: Vec<&str> =
        rows[0].as_object().unwrap().keys().map(String::as_str).take(12).collect();
    let reference = [
        "ttft_ms",
        "tpot_ms",
        "latency_ms",
        "start_time_ms",
        "input_num_turns",
        "input_num_tokens",
        "output_num_tokens",
        "output_num_chunks",
        "output_num_first_chunk_tokens",
        "approx_cached_percent",
        "conversation_id",
        "client_id",
    ];
    assert_eq!(keys, reference);
    let failed = case.json("stats.failed.json");
    assert_eq!(failed.as_array().unwrap().len(), 1);
    assert_eq!((&failed[0]["error"], &failed[0]["status"]), (&json!("http_status"), &json!(500)));
    assert_eq!(failed[0]["message"], "stub 500");
}

#[test]
fn without_failures_the_file_of_failures_is_empty() {
    let case = Case::new(Behaviour::default());
    case.run(&["--stats-json-output", "stats.json"]);
    assert_eq!(case.json("stats.json").as_array().unwrap().len(), 4);
    assert_eq!(case.json("stats.failed.json"), json!([]));
}

#[test]
fn the_compatible_statistics_have_the_references_keys_only() {
    let case = Case::new(Behaviour::script(&["http500"]));
    let run = case.run(&["--compat", "vllm", "--stats-json-output", "stats.json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(case.json("stats.json")[0].as_object().unwrap().len(), 12);
    assert!(!case.path("stats.failed.json").exists());
}

#[test]
fn the_excel_file_is_named_as_the_references() {
    let case = Case::new(Behaviour::default());
    let run = case.run(&["-e", "-p", "2"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let names = std::fs::read_dir(case.folder.path()).unwrap();
    let name = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.starts_with("statistics_"))
        .unwrap();
    let time = name.strip_prefix("statistics_2_clients__").unwrap().strip_suffix(".xlsx").unwrap();
    assert_eq!(time.len(), "24-11-2026_08-00-00".len(), "{name}");
    assert!(std::fs::read(case.path(&name)).unwrap().starts_with(b"PK"), "{name}");
}

#[test]
fn an_output_that_cannot_be_written_leaves_the_others_whole() {
    let case = Case::new(Behaviour::default());
    let run = case.run(&["--stats-json-output", "/dev/full", "-o", "out.json"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    let expect = "warning: cannot write '/dev/full': No space left on device (os error 28)";
    assert!(run.stderr.contains(expect), "{}", run.stderr);
    assert!(run.stdout.contains("Statistics summary"), "{}", run.stdout);
    assert_eq!(case.json("out.json").as_array().unwrap().len(), 2);
    assert_eq!(case.report()["counts"]["requests"]["completed"], 4);

    let case = Case::new(Behaviour::default());
    let run = case.run(&["-o", "/dev/full", "--stats-json-output", "stats.json"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert_eq!(case.json("stats.json").as_array().unwrap().len(), 4);
}

#[test]
fn a_full_standard_output_is_an_error_after_everything_else_is_written() {
    let case = Case::new(Behaviour::default());
    let binary = assert_cmd::cargo::cargo_bin("turnbench").display().to_string();
    let mut shell = assert_cmd::Command::new("sh");
    shell.current_dir(case.folder.path()).args(["-c", "exec \"$@\" > /dev/full", "sh", &binary]);
    let run = ended(shell.args(case.arguments(&["-o", "out.json", "--format", "json"])));
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    let expect = "error: cannot write to standard output: No space left on device (os error 28)\n";
    assert!(run.stderr.ends_with(expect), "{}", run.stderr);
    assert_eq!(case.json("out.json").as_array().unwrap().len(), 2);
    assert_eq!(case.report()["counts"]["requests"]["completed"], 4);
}

#[test]
fn a_run_directory_that_vanishes_does_not_take_the_outputs_with_it() {
    let case = Case::new(Behaviour::default());
    let child = case.start(&["--stats-json-output", "stats.json"]);
    case.stub.wait_for_posts(1);
    let _ = std::fs::remove_dir_all(case.path("run"));
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{stderr}");
    assert_eq!(case.json("stats.json").as_array().unwrap().len(), 4);
    assert!(String::from_utf8_lossy(&output.stdout).contains("Statistics summary"), "{stderr}");
}

#[test]
fn warm_up_percentages_give_a_table_each() {
    let case = Case::new(Behaviour::default());
    let run = case.run(&["--warmup-percentages", "50%,0%"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let heads: Vec<&str> =
        run.stdout.lines().filter(|line| line.starts_with("Statistics summary")).collect();
    let head = |percent| format!("Statistics summary (assuming {percent}% warmup samples):");
    assert_eq!(heads, [head(0), head(50)]);
}

#[test]
fn the_table_is_never_cut_and_never_coloured_when_piped() {
    let case = Case::new(Behaviour::default());
    let mut command = case.command(&[]);
    command.env("COLUMNS", "20").env_remove("NO_COLOR").env("CLICOLOR_FORCE", "0");
    let run = ended(&mut command);
    assert!(!run.stdout.contains("..."), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    assert!(run.stdout.lines().any(|line| line.starts_with("ttft_ms") && line.len() > 60));
}

#[test]
fn contents_are_shown_on_standard_error() {
    let case = Case::new(Behaviour::default());
    case.conversations(&json!([plain("a", 1)]));
    let run = case.run(&["--print-content"]);
    assert!(run.stderr.contains("question 1 of a"), "{}", run.stderr);
    assert!(run.stderr.contains("Reply to turn 1: question 1 of a"), "{}", run.stderr);
    assert!(!run.stdout.contains("Reply to turn"), "{}", run.stdout);
    let quiet = case.run(&["--run-dir", "again"]);
    assert!(!quiet.stderr.contains("Reply to turn"), "{}", quiet.stderr);
}

#[test]
fn failures_are_told_as_they_happen_on_demand() {
    let case = Case::new(Behaviour::script(&["http503"]));
    let run = case.run(&["-v", "--max-retries", "1"]);
    let expect =
        "request will be tried again: conversation a, turn 1, attempt 1: http_status: stub 503";
    assert!(run.stderr.contains(expect), "{}", run.stderr);
    assert!(run.stdout.contains("time_between_user_turns_sec"), "{}", run.stdout);
}

#[test]
fn conversations_written_by_the_compatible_mode_are_the_finished_ones() {
    let case = Case::new(Behaviour::script(&["normal", "http500"]));
    case.run(&["--compat", "vllm", "--no-early-stop", "-o", "out.json"]);
    let list = case.json("out.json");
    let ids: Vec<&Value> = list.as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["b"]);
    assert!(list[0].get("finished").is_none());
}

/// A run of 40 requests whose files cannot grow beyond a few kilobytes: the kernel refuses the rest,
/// as a full disk does.
fn run_with_small_files(case: &Case, more: &[&str]) -> Ended {
    let list: Vec<_> = (0..20).map(|index| plain(&format!("conversation {index}"), 2)).collect();
    case.conversations(&list.into());
    let binary = assert_cmd::cargo::cargo_bin("turnbench").display().to_string();
    let mut shell = assert_cmd::Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$@\"";
    shell.current_dir(case.folder.path()).args(["-c", script, "sh", &binary]);
    ended(shell.args(case.arguments(more)))
}

#[test]
fn a_disk_that_fills_up_takes_no_record_from_the_report() {
    let case = Case::new(Behaviour::default());
    let run = run_with_small_files(&case, &["--format", "json"]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    let refused = "warning: cannot write 'run/records.jsonl': File too large (os error 27)";
    assert!(run.stderr.contains(&format!("{refused}; the run goes on")), "{}", run.stderr);
    assert!(run.stderr.lines().any(|line| line == refused), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["counts"]["requests"]["completed"], 40);
    assert_eq!(report["counts"]["conversations"]["finished"], 20);
    let on_disk = std::fs::read(case.path("run/records.jsonl")).unwrap();
    assert!(on_disk.len() >= 4_096 && on_disk.len() < 40 * 700, "{}", on_disk.len());
}

#[test]
fn without_a_run_directory_a_full_disk_takes_nothing_that_was_asked_for() {
    let case = Case::new(Behaviour::default());
    let run = run_with_small_files(&case, &["--run-dir", "none", "--format", "json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("its records stay in memory"), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["counts"]["requests"]["completed"], 40);
}

#[test]
fn without_a_folder_for_temporary_files_records_stay_in_memory() {
    let case = Case::new(Behaviour::default());
    let mut command = case.command(&["--run-dir", "none", "-o", "out.json"]);
    let run = ended(command.env("TMPDIR", case.path("nowhere")));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let warning = "warning: cannot create a temporary file in '";
    assert!(run.stderr.starts_with(warning), "{}", run.stderr);
    assert!(run.stderr.contains("the records of the run stay in memory"), "{}", run.stderr);
    assert_eq!(case.json("out.json").as_array().unwrap().len(), 2);
}
