use std::pin::pin;

use tokio::sync::Notify;

use super::control::Control;
use crate::{Cancel, Canceller};

/// Passes on to the clients of one shard what the run's [`Control`] says to all.
///
/// Waiting, for an answer or a time, registers with something that is told when to stop, behind a
/// lock. With a relay of its own that lock is one that only the shard's thread takes.
#[derive(Debug)]
pub(crate) struct Relay {
    wake: Notify,
    canceller: Canceller,
    cancel: Cancel,
}

impl Relay {
    pub(crate) fn new() -> Self {
        let (canceller, cancel) = Canceller::new();
        Self { wake: Notify::new(), canceller, cancel }
    }

    /// What is cancelled by [`Control::cut`].
    pub(crate) const fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Returns when those who wait for a time should ask again. Nothing is missed by a task of the
    /// shard that has asked since it was last suspended.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Passes on, for ever. To be run on the shard's thread.
    pub(crate) async fn pass_on(&self, control: &Control) {
        loop {
            let mut news = pin!(control.news().notified());
            // Listens from before it looks, so that nothing falls in between.
            news.as_mut().enable();
            if control.is_cut() {
                self.canceller.cancel();
            }
            self.wake.notify_waiters();
            news.await;
        }
    }
}
