use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Args;

use super::{RawSpeedArgs, number};

/// `turnbench serve`.
#[derive(Debug, Args)]
#[command(
    display_name = "turnbench",
    allow_negative_numbers = true,
    after_help = "Example:\n  turnbench serve --port 8000 --served-model-name sim --kv-blocks 4096"
)]
pub(crate) struct ServeArgs {
    /// Address to listen on (0.0.0.0: all of this machine's)
    #[arg(long, value_parser = host, default_value = "127.0.0.1", help_heading = "Server")]
    pub host: IpAddr,

    /// Port to listen on (0: any free one, printed)
    #[arg(short, long, value_parser = number::port, default_value_t = 8000, help_heading = "Server")]
    pub port: u16,

    /// Tokenizer and chat template: a directory, a Hub id, builtin:o200k_base or
    /// builtin:cl100k_base
    #[arg(short, long, default_value = "builtin:o200k_base", help_heading = "Server")]
    pub model: String,

    /// Name that clients must send [default: --model]
    #[arg(long, value_name = "NAME", help_heading = "Server")]
    pub served_model_name: Option<String>,

    /// Demand this API key under /v1
    #[arg(long, value_name = "KEY", help_heading = "Server")]
    pub api_key: Option<String>,

    /// Longest prompt and answer together, in tokens [default: 32768, or what the KV cache holds
    /// if that is less]
    #[arg(long, value_parser = number::count, value_name = "TOKENS", help_heading = "Server")]
    pub max_model_len: Option<u32>,

    /// Leave prompt_tokens_details out of usage, as vLLM does without --enable-prompt-tokens-details
    #[arg(long, help_heading = "Server")]
    pub no_prompt_tokens_details: bool,

    /// Answer with an x-request-id header
    #[arg(long, help_heading = "Server")]
    pub enable_request_id_headers: bool,

    /// Report times in the answer (the field "metrics")
    #[arg(long, help_heading = "Server")]
    pub enable_per_request_metrics: bool,

    /// Mean length of an answer that no limit ends, in tokens
    #[arg(long, value_parser = number::number, default_value_t = 150.0, value_name = "TOKENS", help_heading = "Server")]
    pub answer_tokens_mean: f64,

    /// Spread of that length: sigma of its lognormal distribution
    #[arg(long, value_parser = number::number, default_value_t = 0.6, value_name = "SIGMA", help_heading = "Server")]
    pub answer_tokens_sigma: f64,

    /// Tokens in each streamed chunk
    #[arg(long, value_parser = number::count, default_value_t = 1, value_name = "N", help_heading = "Server")]
    pub tokens_per_chunk: u32,

    /// Write the truth about each request (arrival, first and last token, cache hits) as JSON lines
    ///
    /// One line per request, when its last token is written. Times are in nanoseconds since the
    /// Unix epoch: arrival_unix_ns and received_unix_ns (first and last byte of the request; by
    /// arrival_source stamped by the kernel or by the server), first_token_due_unix_ns and
    /// last_token_due_unix_ns (when the simulated engine made them), first_token_unix_ns and
    /// last_token_unix_ns (just before they were handed to the kernel). Then prompt_tokens,
    /// cached_tokens, output_tokens, finish_reason ("abort": the client went away), and to find the
    /// request again id, x_request_id, x_session_id, path and stream. With --tier also where cached
    /// tokens were, and a last line about the tiers. docs/serve.md says more.
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    pub truth: Option<PathBuf>,

    /// Be a server with a fault: stores-nothing (no tier keeps what it takes; stores-nothing=host: that
    /// one) or wrong-counters=FACTOR (cached tokens and moved bytes are reported times FACTOR); repeatable
    ///
    /// For testing what reads a server's figures. The truth file is always right.
    #[arg(long, value_name = "FAULT", help_heading = "Server")]
    pub fault: Vec<String>,

    /// Prompt tokens computed per second
    #[arg(long, value_parser = number::number, default_value_t = 20_000.0, value_name = "RATE", help_heading = "Cost model")]
    pub prefill_tokens_per_sec: f64,

    /// Milliseconds of a step that decodes, whatever it decodes
    #[arg(long, value_parser = number::number, default_value_t = 8.0, value_name = "MS", help_heading = "Cost model")]
    pub decode_ms: f64,

    /// Milliseconds that each decoded sequence adds to a step
    #[arg(long, value_parser = number::number, default_value_t = 0.05, value_name = "MS", help_heading = "Cost model")]
    pub decode_ms_per_seq: f64,

    /// Tokens in a KV block
    #[arg(long, value_parser = number::count, default_value_t = 16, value_name = "TOKENS", help_heading = "KV cache")]
    pub block_size: u32,

    /// KV blocks of the cache, one of which is reserved as in vLLM
    #[arg(long, value_parser = number::count, default_value_t = 8_192, value_name = "N", help_heading = "KV cache")]
    pub kv_blocks: u32,

    /// Turn prefix caching off
    #[arg(long, help_heading = "KV cache")]
    pub no_enable_prefix_caching: bool,

    /// Bytes of the keys and values of one token [default: 131072, as Llama 3.1 8B in bf16]; with
    /// --block-size it says how many blocks the bytes of a tier are
    #[arg(long, value_parser = number::count, default_value_t = 131_072, hide_default_value = true, value_name = "BYTES", help_heading = "KV cache")]
    pub kv_bytes_per_token: u32,

    /// A tier behind the KV cache: host, disk or p2p, with its size and speeds, such as
    /// host:8GiB,load=20GiB/s,store=20GiB/s,latency=50us; repeatable, nearest first
    ///
    /// Each tier takes a copy of every block when it is filled, and evicts what was not used for
    /// longest. Blocks that the KV cache no longer has are loaded from the first tier that has them,
    /// while their request waits: latency (0 unless given) and bytes by the load speed, which loads that
    /// run together share. docs/serve.md says more.
    #[arg(long, value_name = "TIER", help_heading = "KV cache")]
    pub tier: Vec<String>,

    /// Tokens computed in one step, prompts and answers together [default: 2048, or
    /// --max-num-seqs if that is more; without chunked prefill at least --max-model-len]
    #[arg(long, value_parser = number::count, value_name = "TOKENS", help_heading = "Scheduler")]
    pub max_num_batched_tokens: Option<u32>,

    /// Sequences in one step
    #[arg(long, value_parser = number::count, default_value_t = 256, value_name = "N", help_heading = "Scheduler")]
    pub max_num_seqs: u32,

    /// Compute prompts in one piece only
    #[arg(long, help_heading = "Scheduler")]
    pub no_enable_chunked_prefill: bool,

    /// Seed of the answers
    #[arg(long, value_parser = number::seed, default_value_t = 0, help_heading = "Scheduler")]
    pub seed: u64,

    #[command(flatten)]
    pub raw: RawSpeedArgs,
}

/// An address of this machine, or its usual name.
fn host(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let wrong = "it must be an IP address, such as 127.0.0.1 or ::1, or localhost";
    text.parse().map_err(|_| wrong.to_owned())
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn a_host_is_an_address_or_localhost() {
        assert_eq!(host("localhost"), host("127.0.0.1"));
        assert_eq!(host("::1").map(|host| host.is_ipv6()), Ok(true));
        assert!(host("example.org").unwrap_err().contains("must be an IP address"));
    }
}
