use std::num::NonZeroU32;

use clap::{Args, ValueEnum};

use crate::args::{KvBytesArgs, WorkloadArgs, number, unit};

/// `turnbench cache analyze`.
#[derive(Debug, Args)]
#[command(
    display_name = "turnbench",
    after_help = "Examples:\n  turnbench cache analyze conversations.json --active-conversations 64\n  \
    turnbench cache analyze sharegpt.json -m Qwen/Qwen3-8B --capacity 12GiB,40GiB\n  \
    turnbench cache analyze trace.jsonl --kv-bytes-per-token 131072 --tiers 12GiB,64GiB,1TiB"
)]
pub(crate) struct AnalyzeArgs {
    #[command(flatten)]
    pub workload: WorkloadArgs,

    /// Tokens in a block of the cache [default: 16; traces with block names have their own]
    #[arg(long, value_parser = number::block_size, value_name = "TOKENS")]
    pub block_size: Option<NonZeroU32>,

    /// Conversations that take turns at a time, where requests have no recorded times
    #[arg(long, value_parser = number::positive, default_value_t = 1, value_name = "N")]
    pub active_conversations: u32,

    /// Caches to tell more about: sizes such as 12GiB, 200000tokens or 4096blocks
    #[arg(long, value_parser = SizeArg::parse, value_delimiter = ',', value_name = "SIZES")]
    pub capacity: Vec<SizeArg>,

    /// Tiers behind one another, the fastest first: sizes as of --capacity
    #[arg(long, value_parser = SizeArg::parse, value_delimiter = ',', value_name = "SIZES")]
    pub tiers: Vec<SizeArg>,

    /// What a tier keeps of the blocks that a faster one has
    #[arg(long, value_enum, default_value_t)]
    pub tier_inclusion: InclusionArg,

    #[command(flatten)]
    pub kv_bytes: KvBytesArgs,

    /// Blocks that are looked up in a replay: of more a sample is replayed, and the report says how
    /// far it may be off [default: 8000000 where there are more than 32000000]
    #[arg(long, value_parser = number::positive, value_name = "BLOCKS", conflicts_with = "exact")]
    pub sampled: Option<u32>,

    /// Replay all blocks, however many there are
    #[arg(long)]
    pub exact: bool,

    /// What to print on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: AnalyzeFormat,
}

/// `--format` of `cache analyze`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum AnalyzeFormat {
    /// Tables, the curve and the answer in words
    #[default]
    Table,
    /// The cache report (docs/schema/cache-report.json)
    Json,
}

/// `--tier-inclusion`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum InclusionArg {
    /// Every tier keeps its own most recent blocks, as with vLLM's offloading
    #[default]
    Inclusive,
    /// A block is in one tier at a time
    Exclusive,
}

/// A size of a cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SizeArg {
    /// Bytes.
    Bytes(f64),
    /// Tokens.
    Tokens(f64),
    /// Blocks.
    Blocks(f64),
}

impl SizeArg {
    /// A number with its unit, in letters of any case.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let positive = unit::split(text).filter(|(number, _)| *number > 0.0);
        let size = positive.and_then(|(number, unit)| match unit.to_ascii_lowercase().as_str() {
            "blocks" | "block" => Some(Self::Blocks(number)),
            "tokens" | "token" => Some(Self::Tokens(number)),
            _ => unit::bytes(text).map(Self::Bytes),
        });
        size.ok_or_else(|| {
            "it must be a size with its unit, such as 12GiB, 200000tokens or 4096blocks".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::SizeArg;

    #[test]
    fn sizes_have_a_unit() {
        let parsed = ["12GiB", "1.5 gib", "200000tokens", "1block", "2TB"].map(SizeArg::parse);
        let gib = 1024.0 * 1024.0 * 1024.0;
        let expect = [
            SizeArg::Bytes(12.0 * gib),
            SizeArg::Bytes(1.5 * gib),
            SizeArg::Tokens(200_000.0),
            SizeArg::Blocks(1.0),
            SizeArg::Bytes(2e12),
        ];
        assert_eq!(parsed, expect.map(Ok));
        for text in ["", "12", "GiB", "-1GiB", "0GiB", "1.2.3GiB", "12 parsecs"] {
            assert!(SizeArg::parse(text).is_err(), "{text}");
        }
    }
}
