use std::sync::Arc;

use turnbench_model::{Clock, Nanos};

/// Waits for moments of a clock.
///
/// On Linux through a timer of the kernel: tokio's own timers are a millisecond coarse. Spinning
/// would be more exact by some ten microseconds, and would take the core from the streams.
pub(crate) struct Alarm {
    clock: Arc<dyn Clock>,
    #[cfg(target_os = "linux")]
    timer: tokio::io::unix::AsyncFd<linux::Timer>,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsFd, AsRawFd, RawFd};

    use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

    /// A kernel timer that tokio can wait for.
    pub(super) struct Timer(pub(super) TimerFd);

    impl Timer {
        pub(super) fn new() -> std::io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            Ok(Self(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?))
        }
    }

    impl AsRawFd for Timer {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }
}

impl Alarm {
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the kernel gives no timer.
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code, reason = "tokio wants a promise about the descriptor")]
    pub(crate) fn new(clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        // SAFETY: the timer owns its descriptor, always names the same one, and closes it only
        // when it is dropped, which `AsyncFd` does after taking it off the runtime.
        let timer = unsafe { tokio::io::unix::AsyncFd::register(linux::Timer::new()?) }
            .map_err(std::io::Error::from)?;
        Ok(Self { clock, timer })
    }

    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// None.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new(clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        Ok(Self { clock })
    }

    /// Returns at `at` or a little later, at once if it has passed; `None` is never. May be dropped
    /// at any time.
    pub(crate) async fn wait(&self, at: Option<Nanos>) {
        let Some(at) = at else { return std::future::pending().await };
        loop {
            let span = at.since(self.clock.now());
            if span == Nanos::ZERO {
                return;
            }
            self.sleep(span).await;
        }
    }

    #[cfg(target_os = "linux")]
    async fn sleep(&self, span: Nanos) {
        use nix::sys::time::TimeSpec;
        use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};

        let expiration =
            Expiration::OneShot(TimeSpec::from_duration(std::time::Duration::from_nanos(span.0)));
        if self.timer.get_ref().0.set(expiration, TimerSetTimeFlags::empty()).is_err() {
            return tokio::time::sleep(std::time::Duration::from_nanos(span.0)).await;
        }
        loop {
            let Ok(mut ready) = self.timer.readable().await else { return };
            // A wake-up from an earlier setting of the timer reads nothing: wait on.
            if ready.try_io(|timer| timer.get_ref().0.wait().map_err(Into::into)).is_ok() {
                return;
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    async fn sleep(&self, span: Nanos) {
        tokio::time::sleep(std::time::Duration::from_nanos(span.0)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Alarm;
    use turnbench_model::{Clock, MonotonicClock, Nanos};

    #[test]
    fn an_alarm_never_rings_early_and_can_be_set_anew() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clock = Arc::new(MonotonicClock::start());
            let alarm = Alarm::new(clock.clone()).unwrap();
            alarm.wait(Some(Nanos::ZERO)).await;
            let far = clock.now() + Nanos::from_millis(60_000);
            for _ in 0..20 {
                let at = clock.now() + Nanos(300_000);
                tokio::select! {
                    biased;
                    () = alarm.wait(Some(far)) => panic!("a minute early"),
                    () = std::future::ready(()) => {}
                }
                alarm.wait(Some(at)).await;
                assert!(clock.now() >= at);
            }
        });
    }
}
