use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Args, Command, FromArgMatches, ValueEnum};

use super::{DataSetArgs, EXIT_CODES, LedgerArgs, MetricsArgs, ServerArgs, TokenizerArgs, number};

/// A command line that works beside `turnbench serve --served-model-name sim`.
const EXAMPLE: &str = "Example:\n  turnbench run -m builtin:o200k_base --served-model-name sim \\\n    \
                       -i examples/generate_multi_turn.json -p 2 -k 6";

/// `turnbench run`. Flags that vLLM's `benchmark_serving_multi_turn.py` has keep its names,
/// defaults and meaning.
#[derive(Debug, Args)]
#[command(
    display_name = "turnbench",
    after_help = EXAMPLE,
    after_long_help = format!("{EXAMPLE}\n\n{EXIT_CODES}")
)]
pub(crate) struct RunArgs {
    /// Data set or trace (docs/formats.md lists the formats), or generator config
    #[arg(short, long, value_name = "FILE", help_heading = "Workload")]
    pub input_file: PathBuf,

    /// Model: a directory or Hub id with its tokenizer (or any --tokenizer source)
    #[arg(short, long, help_heading = "Workload")]
    pub model: String,

    /// Seed of every random stream
    #[arg(long, default_value = "0", value_parser = number::seed, allow_negative_numbers = true,
        help_heading = "Workload")]
    pub seed: u64,

    /// Most messages that a request may carry; longer conversations end there
    ///
    /// As in the reference it is messages that are counted, those of the assistant too: 5 means
    /// three requests of a conversation, the last with three user messages and two answers.
    #[arg(long, value_parser = number::whole, value_name = "N", allow_negative_numbers = true, help_heading = "Workload")]
    pub max_turns: Option<i64>,

    #[command(flatten)]
    pub data_set: DataSetArgs,

    #[command(flatten)]
    pub tokenizer: TokenizerArgs,

    #[command(flatten)]
    pub server: ServerArgs,

    #[command(flatten)]
    pub metrics: MetricsArgs,

    /// Concurrent clients
    #[arg(
        short = 'p',
        long, value_parser = number::whole,
        default_value_t = 1,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Load"
    )]
    pub num_clients: i64,

    /// Conversations open at once over all clients [default: --num-clients]
    ///
    /// They are spread evenly over the clients; each picks its next request among those it has open.
    #[arg(
        short = 'k',
        long, value_parser = number::whole,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Load"
    )]
    pub max_active_conversations: Option<i64>,

    /// Choose --max-active-conversations so that their contexts together are this multiple of the
    /// server's cache, such as 1.5x
    ///
    /// The cache is the device's, by the server's metrics, or --cache-size. A context is what a
    /// conversation has in the cache on average over its turns; what conversations share counts once.
    #[arg(long, value_parser = number::factor, value_name = "FACTOR",
        conflicts_with = "max_active_conversations", help_heading = "Load")]
    pub fill_cache: Option<f64>,

    /// Size of the cache for --fill-cache: 200000tokens, 40GiB, or the file that cache tiers --json wrote
    #[arg(long, value_name = "SIZE", requires = "fill_cache", help_heading = "Load")]
    pub cache_size: Option<String>,

    /// Requests over all clients, spread evenly over them [default: all]
    #[arg(
        short = 'n',
        long, value_parser = number::whole,
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Load"
    )]
    pub max_num_requests: Option<i64>,

    /// Pause of each client after each answer, exponentially distributed with this rate per
    /// second (0: none)
    #[arg(
        long, value_parser = number::number,
        default_value_t = 0.0,
        value_name = "RATE",
        allow_negative_numbers = true,
        help_heading = "Load"
    )]
    pub request_rate: f64,

    /// How a client picks among its open conversations
    #[arg(long, value_enum, default_value_t, value_name = "HOW", help_heading = "Load")]
    pub conversation_sampling: SamplingArg,

    /// Retries of a request that failed for a reason that may pass
    ///
    /// Tried again are requests without a connection (connect), out of time (timeout), broken off
    /// (truncated), with an error inside the answer (stream_error), and those with status 408, 425,
    /// 429 or 5xx except 501. The wait is 1 s, 2 s, 4 s, ... up to 64 s with jitter, or what
    /// Retry-After asks for (at most 60 s) if that is longer. With --compat vllm every failure is
    /// tried again, the wait has no limit and Retry-After does not count, as in the reference.
    #[arg(
        long, value_parser = number::whole,
        default_value_t = 0,
        env = "MULTITURN_BENCH_MAX_RETRIES",
        value_name = "N",
        allow_negative_numbers = true,
        help_heading = "Load"
    )]
    pub max_retries: i64,

    /// Stop everything when the first client runs out of work
    #[arg(long, conflicts_with = "no_early_stop", help_heading = "Load")]
    pub early_stop: bool,

    /// Let every client finish its work (the default, except with --compat vllm)
    #[arg(long, help_heading = "Load")]
    pub no_early_stop: bool,

    /// Send every conversation's first turn before the measured run
    #[arg(long, help_heading = "Load")]
    pub warmup_step: bool,

    /// Leave out the first requests, "0%,25%": one table for each percentage
    #[arg(long, default_value = "0%", value_name = "LIST", help_heading = "Load")]
    pub warmup_percentages: String,

    /// Threads that the clients are spread over [default: one per core, and one core less when the
    /// server runs on this machine]
    #[arg(long, value_parser = number::whole, value_name = "N", allow_negative_numbers = true, help_heading = "Client")]
    pub threads: Option<i64>,

    /// Open every client's connection before the first request
    ///
    /// Without it a client connects when it sends its first request. TTFT never contains the time a
    /// connection takes; it is reported as connect_ms.
    #[arg(long, help_heading = "Client")]
    pub connections_warm: bool,

    /// Most output tokens: a number, 0 = as the recorded answer, negative = unlimited
    #[arg(
        long, value_parser = number::whole,
        default_value_t = 0,
        value_name = "TOKENS",
        allow_negative_numbers = true,
        help_heading = "Request"
    )]
    pub limit_max_tokens: i64,

    /// Fewest output tokens: a number, 0 = as the recorded answer, negative = none
    #[arg(
        long, value_parser = number::whole,
        default_value_t = 0,
        value_name = "TOKENS",
        allow_negative_numbers = true,
        help_heading = "Request"
    )]
    pub limit_min_tokens: i64,

    /// Do not send min_tokens
    #[arg(long, help_heading = "Request")]
    pub no_min_tokens: bool,

    /// Send ignore_eos, so that answers have exactly max_tokens tokens
    #[arg(long, help_heading = "Request")]
    pub ignore_eos: bool,

    /// Seconds until a request fails; grows with max_tokens by 0.2 s a token
    #[arg(
        long, value_parser = number::whole,
        default_value_t = 120,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        help_heading = "Request"
    )]
    pub request_timeout_sec: i64,

    /// Ask for whole answers instead of streams
    #[arg(long, help_heading = "Request")]
    pub no_stream: bool,

    /// Send the conversation's id as conversation_id and as X-Session-ID
    #[arg(long, help_heading = "Request")]
    pub send_conversation_id: bool,

    /// Fail answers that differ from the recorded ones
    #[arg(long, help_heading = "Request")]
    pub verify_output: bool,

    /// Whose answers become the history of later turns
    ///
    /// With live, an answer that recorded tool results refer to stays the recorded one.
    #[arg(long, value_enum, default_value_t, value_name = "WHOSE", help_heading = "Request")]
    pub history: HistoryArg,

    /// What becomes of reasoning text in the history
    #[arg(long, value_enum, default_value_t, value_name = "WHAT", help_heading = "Request")]
    pub history_reasoning: HistoryReasoningArg,

    /// Extra keys of every request body, as a JSON object
    #[arg(long, value_name = "JSON", help_heading = "Request")]
    pub extra_body: Option<String>,

    /// Reproduce a reference program's request sequence exactly
    #[arg(long, value_enum, value_name = "PROGRAM", help_heading = "Request")]
    pub compat: Option<CompatArg>,

    #[command(flatten)]
    pub ledger: LedgerArgs,

    /// Write the conversations as they were sent: with the server's answers
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output_file: Option<PathBuf>,

    /// Write the statistics of each request as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub stats_json_output: Option<PathBuf>,

    /// Write the statistics as an Excel file into the working directory
    #[arg(short, long, help_heading = "Output")]
    pub excel_output: bool,

    /// Where to keep the run's files ("none": nowhere) [default: runs/<UTC time>-<model>]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub run_dir: Option<String>,

    /// What to print on standard output
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub format: OutputFormat,

    /// Tell more: each failure as it happens, and the time between the turns of a conversation
    #[arg(short, long, help_heading = "Output")]
    pub verbose: bool,

    /// Show every request's messages and answer on standard error, as they come
    #[arg(long, help_heading = "Output")]
    pub print_content: bool,

    /// Accepted for compatibility; nothing is executed, so nothing needs trust
    #[arg(long, help_heading = "Output")]
    pub trust_remote_code: bool,
}

impl RunArgs {
    /// A run of the program's own, from its flags and their values: nothing else counts, the
    /// environment's variables neither.
    pub(crate) fn typed(line: Vec<String>) -> Result<Self, clap::Error> {
        let command = Self::augment_args(Command::new("run").no_binary_name(true));
        let command = command.mut_args(|arg| arg.env(Resettable::Reset));
        Self::from_arg_matches(&command.try_get_matches_from(line)?)
    }
}

/// `--conversation-sampling`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum SamplingArg {
    /// First in, first out
    #[default]
    #[value(name = "round_robin")]
    RoundRobin,
    /// Uniformly at random, from the seed
    Random,
}

/// `--history`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum HistoryArg {
    /// The server's, exactly as received
    #[default]
    Live,
    /// The recorded ones, where there are any
    Recorded,
}

/// `--history-reasoning`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum HistoryReasoningArg {
    /// Send it back as reasoning_content
    Keep,
    /// Leave it out, as chat templates of reasoning models expect
    #[default]
    Drop,
}

/// `--compat`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CompatArg {
    /// vLLM's benchmark_serving_multi_turn.py
    Vllm,
}

/// `--format`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Parameters and tables
    #[default]
    Table,
    /// The run report
    Json,
}
