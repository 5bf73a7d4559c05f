use std::path::{Path, PathBuf};
use std::thread;

use crate::exit::{Exit, ExitCode};

/// The signals that ask the program to end.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Listens from now on. Must be called within a runtime.
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns when one arrives.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ends the watch when dropped.
pub(crate) struct Watch {
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Watch {
    /// A watch that the sender's drop ends.
    pub(crate) const fn new(stop: tokio::sync::oneshot::Sender<()>) -> Self {
        Self { _stop: stop }
    }
}

/// Ctrl-C (or SIGTERM) ends the program at once, but takes this file along, which is of no use
/// unfinished.
pub(crate) fn remove_when_interrupted(file: Option<&Path>) -> Result<Option<Watch>, Exit> {
    let Some(file) = file.map(PathBuf::from) else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::new()?
    };
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = signals.next() => {
                    let _ = std::fs::remove_file(&file);
                    end_at_once();
                }
                _ = &mut stopped => {}
            }
        });
    })?;
    Ok(Some(Watch::new(stop)))
}

/// Ends the program with the exit code of an interruption.
#[allow(clippy::disallowed_methods, reason = "Ctrl-C ends the program wherever it is")]
pub(crate) fn end_at_once() {
    std::process::exit(ExitCode::Interrupted as i32);
}
