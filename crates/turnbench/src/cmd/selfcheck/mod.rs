//! `turnbench selfcheck`: what the client can do on this machine.

mod clock;
mod load;
mod machine;
mod network;
mod source;
mod store;

use std::sync::Arc;

use turnbench_metrics::{SELFCHECK_SCHEMA_VERSION, Selfcheck};
use turnbench_model::{Clock, MonotonicClock};
use turnbench_report::selfcheck_text;

use super::output;
use crate::args::{SelfcheckArgs, SelfcheckFormat};
use crate::exit::{Exit, ExitCode};

pub(crate) use store::capacity;

/// `turnbench selfcheck`.
pub(crate) fn selfcheck(args: &SelfcheckArgs) -> Result<ExitCode, Exit> {
    let clock = Arc::new(MonotonicClock::start());
    // The server first: a wrong address is told before seconds of measuring.
    let network = match &args.url {
        Some(url) => Some(network::check(url, args, clock.clone())?),
        None => None,
    };
    let machine = machine::machine();
    let quality = clock::quality(&*clock);
    anstream::eprintln!("measuring this machine for about ten seconds");
    let mut missing = Vec::new();
    let (speed, loads, failure) = match load::measure(&mut missing) {
        Ok((speed, loads)) => (Some(speed), loads, None),
        Err(exit) => {
            missing.push(format!("speed and delays: {}", crate::exit::describe(&exit.error)));
            (None, Vec::new(), Some(exit.error))
        }
    };
    let found = Selfcheck {
        schema_version: SELFCHECK_SCHEMA_VERSION,
        turnbench_version: env!("CARGO_PKG_VERSION").to_owned(),
        optimized: !cfg!(debug_assertions),
        measured_unix_ns: clock.unix_ns(),
        machine,
        clock: quality,
        speed,
        loads,
        network,
        missing,
    };
    match args.format {
        SelfcheckFormat::Json => output::print(&(serde_json::to_string_pretty(&found)? + "\n"))?,
        SelfcheckFormat::Table => output::print(&selfcheck_text(&found, output::width()))?,
    }
    if let Some(error) = failure {
        // What an earlier selfcheck found stays: later runs have more of it than of this.
        let error = error.context("the client's speed could not be measured, and nothing is kept");
        return Err(Exit { code: ExitCode::Internal, error });
    }
    match store::keep(&found) {
        Ok(path) => anstream::eprintln!("kept in {} for later runs' verdicts", path.display()),
        Err(error) => output::warn(format!("the result is not kept: {error:#}")),
    }
    Ok(ExitCode::Done)
}
