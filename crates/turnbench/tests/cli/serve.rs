//! `turnbench serve` as a program: it says where it listens, ends on Ctrl-C, and names the flag that
//! cannot work.

use std::path::Path;

use crate::support::bin::{root, turnbench};
use crate::support::case::{Ended, ended};
use crate::support::served::Served;

/// `turnbench serve` with these arguments, which must end by itself.
fn serve(args: &[&str]) -> Ended {
    let tokenizer = root().join("testdata/tokenizer/bpe").display().to_string();
    let mut command = turnbench(Path::new("."));
    command.args(["serve", "--port", "0", "-m", &tokenizer]).args(args);
    ended(command.timeout(std::time::Duration::from_mins(1)))
}

#[test]
fn it_says_where_it_listens_and_ends_on_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path(), &[]);
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
    assert!(!server.url.ends_with(":0"), "{}", server.url);
    assert_eq!(server.interrupt(), (Some(0), String::new()));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let run = serve(&["--port", &address.port().to_string()]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    let expect = format!("error: {address} is in use\nhint: choose another --port, or 0 for any");
    assert!(run.stderr.starts_with(&expect), "{}", run.stderr);
}

#[test]
fn options_that_cannot_work_are_named_by_their_flags() {
    for (args, expect) in [
        (&["--block-size", "0"][..], "--block-size is 0"),
        (&["--kv-blocks", "0"], "--kv-blocks is 0"),
        (&["--max-num-seqs", "0"], "--max-num-seqs is 0"),
        (&["--max-num-batched-tokens", "0"], "--max-num-batched-tokens is 0"),
        (&["--max-model-len", "0"], "--max-model-len is 0"),
        (&["--tokens-per-chunk", "0"], "--tokens-per-chunk is 0"),
        (&["--prefill-tokens-per-sec", "0"], "--prefill-tokens-per-sec is 0"),
        (&["--prefill-tokens-per-sec", "nan"], "--prefill-tokens-per-sec is NaN"),
        (&["--answer-tokens-mean", "0"], "--answer-tokens-mean is 0"),
        (&["--answer-tokens-sigma", "-1"], "--answer-tokens-sigma is -1"),
        (&["--decode-ms", "-1"], "--decode-ms is -1; it must be from 0 to 60000 milliseconds"),
        (&["--decode-ms-per-seq", "1e9"], "--decode-ms-per-seq is 1000000000; it must be"),
        (&["--served-model-name", ""], "--served-model-name is empty"),
        (
            &["--max-num-seqs", "300", "--max-num-batched-tokens", "100"],
            "--max-num-batched-tokens is 100",
        ),
        (&["--kv-blocks", "10", "--max-model-len", "999"], "--max-model-len is 999"),
        (&["--tier", "host:0"], "--tier is 'host:0'; its size '0' must be a number with a unit"),
        (&["--tier", "host:0GiB,load=1GB/s,store=1GB/s"], "tier host has 0 bytes"),
        (&["--tier", "host:1GiB,speed=1GB/s"], "'speed' is no setting"),
        (&["--tier", "host:1GiB,load=1Gbit/s"], "its load speed '1Gbit/s' must be from 1B/s"),
        (&["--tier", "tape:1GiB"], "'tape' is no tier: it must be host, disk or p2p\nhint: "),
        (&["--kv-bytes-per-token", "0"], "--kv-bytes-per-token is 0"),
        (&["--fault", "stores-nothing"], "there is no such tier\nhint: --tier gives"),
        (&["--fault", "wrong-counters=-1"], "'-1' must be a number from 0 to 1000"),
        (&["--truth", "no/x.jsonl"], "--truth"),
        (&["-m", "none"], "--model is 'none'; the simulated server needs a tokenizer"),
        (&["-m", "builtin:x"], "--model: \"builtin:x\" is no tokenizer"),
        (&["--host", "example"], "invalid value 'example' for '--host <HOST>'"),
        (&["--host", "203.0.113.7"], "cannot listen on 203.0.113.7:0"),
        (&["--port", "99999"], "it must be a whole number from 0 to 65535"),
        (&["--kv-blocks", "-1"], "it must be a whole number from 0 to 4294967295"),
        (&["--decode-ms", "slow"], "it must be a number, such as 2 or 0.5"),
    ] {
        let run = serve(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: "), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(expect), "{args:?}: {}", run.stderr);
    }
}
