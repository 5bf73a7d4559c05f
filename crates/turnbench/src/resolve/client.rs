use turnbench_model::ClientPlan;

use crate::args::RunArgs;
use crate::exit::Exit;

/// Most threads that may be asked for.
const THREADS_MAX: u32 = 1_024;

/// What the client works with: `--threads` and `--connections-warm`.
///
/// Without `--threads` every core gets one, except for one core that is left to a server on the
/// same machine. Never more threads than clients.
pub(crate) fn client_plan(
    args: &RunArgs,
    num_clients: u32,
    cores: u32,
    server_on_this_host: bool,
) -> ClientPlan {
    let free = if server_on_this_host { cores.saturating_sub(1) } else { cores };
    let asked = args.threads.and_then(|threads| u32::try_from(threads).ok());
    ClientPlan {
        threads: asked.unwrap_or(free).clamp(1, num_clients.max(1)),
        connections_warm: args.connections_warm,
        server_on_this_host,
    }
}

/// Refuses a number of threads that no machine has.
pub(crate) fn check_threads(args: &RunArgs) -> Result<(), Exit> {
    match args.threads {
        Some(threads) if !(1..=i64::from(THREADS_MAX)).contains(&threads) => {
            Err(Exit::usage(format!("--threads is {threads}; it must be from 1 to {THREADS_MAX}")))
        }
        _ => Ok(()),
    }
}
