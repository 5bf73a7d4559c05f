use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::exit::Exit;

/// Files and sockets beside the clients' own: records, logs, standard streams, runtimes.
const SPARE_FILES: u64 = 64;

/// Lets the process open as many files (sockets) as the system allows it; gives that number.
pub(crate) fn raise() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return u64::MAX };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft }
}

/// Refuses more clients than there can be sockets.
pub(crate) fn check(clients: u32) -> Result<(), Exit> {
    let files = raise();
    let most = files.saturating_sub(SPARE_FILES);
    if u64::from(clients) <= most {
        return Ok(());
    }
    Err(Exit::usage(format!(
        "--num-clients is {clients}, but this process may open {files} files, enough for {most} \
         clients\nhint: raise the limit (ulimit -n)"
    )))
}
