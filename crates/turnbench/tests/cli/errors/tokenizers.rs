//! Tokenizers.

use serde_json::json;

use crate::support::case::{Case, ended};
use crate::support::stub::Behaviour;

use super::{check, inputs::config, refused};

#[test]
fn tokenizers_that_are_not_there_are_named() {
    let case = Case::new(Behaviour::default());
    let allowed = "allowed is a directory, a Hub id such as meta-llama/Llama-3.1-8B-Instruct, \
                   builtin:o200k_base, builtin:cl100k_base, server or none";
    std::fs::create_dir(case.path("empty")).unwrap();
    for (args, expect) in [
        (
            ["--tokenizer", "builtin:x"],
            "--tokenizer: \"builtin:x\" is no tokenizer, allowed is builtin:o200k_base or \
             builtin:cl100k_base"
                .to_owned(),
        ),
        (
            ["--tokenizer", "./none"],
            format!(
                "--tokenizer: \"./none\" is no tokenizer, {allowed}\nhint: there is no such directory"
            ),
        ),
        (
            ["-m", "/no/such/model"],
            format!(
                "--model: \"/no/such/model\" is no tokenizer, {allowed}\nhint: there is no such directory"
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
