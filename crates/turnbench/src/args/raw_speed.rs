use clap::Args;
use turnbench_simserver::raw::EVENTS_PER_WRITE_MAX;

use super::number;

/// `turnbench serve --raw-speed`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Raw speed")]
pub(crate) struct RawSpeedArgs {
    /// Simulate nothing: stream prebuilt events, as fast as the client takes them (Linux)
    ///
    /// One thread answers every chat and completion request with max_tokens events (or
    /// max_completion_tokens; --raw-tokens without either) in vLLM's shape. For measuring clients:
    /// a source that is faster than any of them. Nothing is tokenized, so prompt_tokens is an
    /// estimate. docs/serve.md says more.
    #[arg(
        long,
        conflicts_with_all = [
            "api_key", "max_model_len", "no_prompt_tokens_details", "enable_request_id_headers",
            "enable_per_request_metrics", "answer_tokens_mean", "answer_tokens_sigma",
            "tokens_per_chunk", "prefill_tokens_per_sec", "decode_ms", "decode_ms_per_seq",
            "block_size", "kv_blocks", "no_enable_prefix_caching", "max_num_batched_tokens",
            "max_num_seqs", "no_enable_chunked_prefill", "seed",
        ]
    )]
    pub raw_speed: bool,

    /// Tokens of an answer to a request that sets no limit
    #[arg(long, value_parser = number::positive, default_value_t = 128, value_name = "TOKENS", requires = "raw_speed")]
    pub raw_tokens: u32,

    /// Events of one token each that are sent in one write, at most 1024
    #[arg(long, value_parser = events_per_write, default_value_t = 1, value_name = "N", requires = "raw_speed")]
    pub events_per_write: u32,

    /// Milliseconds from a request's arrival to its first token (0: at once)
    #[arg(long, value_parser = number::number, default_value_t = 0.0, value_name = "MS", requires = "raw_speed")]
    pub ttft_ms: f64,

    /// Milliseconds from each token to the next, on a fixed schedule (0: at once)
    #[arg(long, value_parser = number::number, default_value_t = 0.0, value_name = "MS", requires = "raw_speed")]
    pub itl_ms: f64,
}

fn events_per_write(text: &str) -> Result<u32, String> {
    let parsed = text.parse().ok().filter(|count| (1..=EVENTS_PER_WRITE_MAX).contains(count));
    parsed.ok_or_else(|| format!("it must be a whole number from 1 to {EVENTS_PER_WRITE_MAX}"))
}
