mod analyze;
mod tiers;

use crate::args::{CacheArgs, CacheCommand};
use crate::exit::{Exit, ExitCode};

/// `turnbench cache`.
pub(crate) fn cache(args: &CacheArgs) -> Result<ExitCode, Exit> {
    match &args.command {
        CacheCommand::Analyze(args) => analyze::analyze(args),
        CacheCommand::Tiers(args) => tiers::tiers(args),
    }
}
