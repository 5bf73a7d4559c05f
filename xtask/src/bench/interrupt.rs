use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::rounds::say;

/// Whether someone wants the run to end: Ctrl-C, SIGTERM, or a terminal that is gone. What was measured is printed then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut by_key, mut by_process, mut by_terminal) = {
            let _within = runtime.enter();
            let listen = |kind| signal(kind).context("cannot listen to signals");
            let [key, process, terminal] =
                [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            (listen(key)?, listen(process)?, listen(terminal)?)
        };
        let wanted = interrupt.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = by_key.recv() => {}
                    _ = by_process.recv() => {}
                    _ = by_terminal.recv() => {}
                }
            });
            wanted.set();
            say("stopping: what was measured so far is printed");
        });
        Ok(interrupt)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
