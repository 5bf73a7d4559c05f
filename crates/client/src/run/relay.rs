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

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;

    use futures_util::future::{Either, select};

    use super::Relay;
    use crate::run::Control;
    use crate::run::control::tests::driver;

    /// Runs `client` on a shard whose relay passes on.
    fn on_shard(relay: &Relay, control: &Control, client: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            match select(pin!(client), pin!(relay.pass_on(control))).await {
                Either::Left(((), _)) => {}
                Either::Right(_) => unreachable!("a relay passes on for ever"),
            }
        });
    }

    #[test]
    fn whoever_waits_is_woken_by_every_piece_of_news() {
        let (relay, control) = (Relay::new(), Control::new(&driver()));
        on_shard(&relay, &control, async {
            // The relay looks once when it starts; from then on it wakes for news only.
            relay.woken().await;
            for _ in 0..3 {
                control.tell_shards();
                relay.woken().await;
            }
            control.stop();
            relay.woken().await;
        });
        assert!(control.is_stopped() && !control.is_cut() && !relay.cancel().is_cancelled());
    }

    #[test]
    fn a_cut_cancels_on_every_shard_also_one_that_starts_later() {
        let control = Control::new(&driver());
        let first = Relay::new();
        on_shard(&first, &control, async {
            first.woken().await;
            assert!(!first.cancel().is_cancelled());
            control.cut();
            first.cancel().cancelled().await;
        });
        let late = Relay::new();
        on_shard(&late, &control, late.cancel().cancelled());
        assert!(control.is_stopped() && late.cancel().is_cancelled());
    }
}
