mod analyze;
mod tiers;

use clap::{Args, Subcommand};

pub(crate) use analyze::{AnalyzeArgs, AnalyzeFormat, InclusionArg, SizeArg};
pub(crate) use tiers::TiersArgs;

/// `turnbench cache`.
#[derive(Debug, Args)]
#[command(display_name = "turnbench")]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub command: CacheCommand,
}

/// What to do with caches.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show what a KV cache of any size could do for a workload, without any server
    Analyze(Box<AnalyzeArgs>),
    /// Measure a server's cache from outside: how much it and each tier behind it hold, and how fast
    /// they load
    Tiers(Box<TiersArgs>),
}
