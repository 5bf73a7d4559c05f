use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use turnbench_model::{MonotonicClock, TokenizerSource};
use turnbench_report::demo_text;
use turnbench_simserver::engine::EngineOptions;
use turnbench_simserver::{Server, ServerOptions};

use super::{output, run, tokenizer};
use crate::args::{DecodeCleanupArg, DemoArgs, OutputFormat, RunArgs};
use crate::exit::{Exit, ExitCode};

/// The stock workload, as in `examples/`.
const CONFIG: &str = include_str!("../../../../examples/generate_multi_turn.json");
const TEXT: &str = include_str!("../../../../examples/persuasion.txt");

/// Tokenizer of client and server: inside the binary, so that nothing is downloaded.
const TOKENIZER: &str = "o200k_base";
const SERVED_MODEL_NAME: &str = "simulated";

/// Cost of a decoding step: a fast server, so that the demo ends within half a minute.
const DECODE_NS: u64 = 1_500_000;
const DECODE_NS_PER_SEQ: u64 = 20_000;
/// Prompt tokens per second: what an 8B model does on one large GPU.
const PREFILL_TOKENS_PER_SEC: f64 = 20_000.0;

/// `turnbench demo`.
pub(crate) fn demo(args: &DemoArgs) -> Result<ExitCode, Exit> {
    let server = start_server()?;
    let input = tempfile::tempdir().context("cannot make a temporary folder for the workload")?;
    std::fs::write(input.path().join("generate_multi_turn.json"), CONFIG)?;
    std::fs::write(input.path().join("persuasion.txt"), TEXT)?;
    anstream::eprintln!(
        "simulated server on http://{}, stock workload: 24 conversations, 2 clients",
        server.local_addr()
    );
    let run_args = run_args(args, server.local_addr(), input.path())?;
    let finished = run::execute(&run_args)?;
    if args.format == OutputFormat::Table
        && let Some(text) = demo_text(&finished.report)
    {
        output::print(&format!("\n{text}"))?;
    }
    finished.say_run_dir();
    server.stop()?;
    Ok(finished.code)
}

fn start_server() -> Result<turnbench_simserver::ServerThread, Exit> {
    let source = TokenizerSource::Builtin(TOKENIZER.to_owned());
    let loaded = tokenizer::load(&source, DecodeCleanupArg::Auto)?;
    let options = ServerOptions {
        engine: EngineOptions {
            decode_ns: DECODE_NS,
            decode_ns_per_seq: DECODE_NS_PER_SEQ,
            prefill_tokens_per_sec: PREFILL_TOKENS_PER_SEC,
            ..EngineOptions::default()
        },
        served_model_name: SERVED_MODEL_NAME.to_owned(),
        ..ServerOptions::default()
    };
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let clock = Arc::new(MonotonicClock::start());
    Ok(Server::bind(address, options, loaded.tokenizer, loaded.template, clock)?.spawn()?)
}

/// The demo is an ordinary run, typed for the user.
fn run_args(args: &DemoArgs, server: SocketAddr, input: &Path) -> anyhow::Result<RunArgs> {
    let mut line = Vec::new();
    let mut push = |flag: &str, value: String| line.extend([flag.to_owned(), value]);
    push("--url", format!("http://{server}"));
    push("--model", format!("builtin:{TOKENIZER}"));
    push("--served-model-name", SERVED_MODEL_NAME.to_owned());
    push("--input-file", input.join("generate_multi_turn.json").display().to_string());
    push("--num-clients", "2".to_owned());
    push("--max-active-conversations", "6".to_owned());
    if let Some(run_dir) = &args.run_dir {
        push("--run-dir", run_dir.clone());
    }
    let mut run_args = RunArgs::typed(line)?;
    run_args.format = args.format;
    Ok(run_args)
}
