//! What the user may type. Nothing here is derived or checked beyond its own syntax; that is
//! `resolve`'s work.

mod cache;
mod convert;
mod data_set;
mod demo;
mod generate;
mod inspect;
mod kv;
mod ledger;
mod metrics;
mod number;
mod raw_speed;
mod report;
mod run;
mod selfcheck;
mod serve;
mod server;
mod tokenizer;
pub(crate) mod unit;
mod workload;

use clap::{Parser, Subcommand};

pub(crate) use cache::{
    AnalyzeArgs, AnalyzeFormat, CacheArgs, CacheCommand, InclusionArg, SizeArg, TiersArgs,
};
pub(crate) use convert::{ConvertArgs, TargetArg};
pub(crate) use data_set::{AsciiArg, DataSetArgs, MaxTurnsArgs, OverModelLenArg};
pub(crate) use demo::DemoArgs;
pub(crate) use generate::GenerateArgs;
pub(crate) use inspect::{InspectArgs, InspectFormat};
pub(crate) use kv::KvBytesArgs;
pub(crate) use ledger::{LedgerArgs, PromptTokensArg};
pub(crate) use metrics::MetricsArgs;
pub(crate) use raw_speed::RawSpeedArgs;
pub(crate) use report::ReportArgs;
pub(crate) use run::{
    CompatArg, HistoryArg, HistoryReasoningArg, OutputFormat, RunArgs, SamplingArg,
};
pub(crate) use selfcheck::{SelfcheckArgs, SelfcheckFormat};
pub(crate) use serve::ServeArgs;
pub(crate) use server::ServerArgs;
pub(crate) use tokenizer::{DecodeCleanupArg, TokenizerArgs};
pub(crate) use workload::WorkloadArgs;

/// What the exit codes say; every command keeps to them.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    a goal was missed: no request, or fewer than half of the requests, completed, no conversation
       finished while some failed, or an answer failed --verify-output
  2    bad usage or input; nothing was sent
  3    the server could not be reached
  4    internal error, or a file that could not be written after work had begun
  130  interrupted (Ctrl-C)";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "turnbench",
    version,
    about = "Replays multi-turn conversations against an LLM server and shows what its KV cache did",
    propagate_version = true,
    infer_long_args = true,
    args_override_self = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Replay conversations against a server and print the statistics
    Run(Box<RunArgs>),
    /// Write the conversations that a generator config describes or a data set holds
    Generate(GenerateArgs),
    /// Convert data sets and traces into one another, ShareGPT dumps among them
    Convert(Box<ConvertArgs>),
    /// Show what is in a workload, without any server: sizes, times, and what prompts share
    Inspect(Box<InspectArgs>),
    /// Show what KV caches can do for a workload, and what a server's own does
    Cache(CacheArgs),
    /// Start a simulated server that speaks vLLM's API
    Serve(Box<ServeArgs>),
    /// Measure the client on this machine, for later runs' verdicts: under 20 s, no server needed
    Selfcheck(SelfcheckArgs),
    /// Run the stock workload against a simulated server: no GPU, no download, half a minute
    Demo(DemoArgs),
    /// Print the statistics of a run directory again, from its raw records
    Report(ReportArgs),
}
