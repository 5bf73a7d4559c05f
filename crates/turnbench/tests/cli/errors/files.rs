//! Files and directories to read and to write.

use serde_json::json;

use crate::support::bin::{root, turnbench};
use crate::support::case::{Case, ended};
use crate::support::stub::Behaviour;

use super::{check, inputs::config, refused};

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
fn generate_and_report_refuse_what_is_not_theirs() {
    let case = Case::new(Behaviour::default());
    let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
    case.write("config.json", &config("/num_conversations", json!(2)).to_string());
    for (args, expect) in [
        (
            &["generate", "-i", "config.json", "-m", "none"][..],
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
