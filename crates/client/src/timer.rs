use std::cell::Cell;
use std::io;
use std::time::Duration;

#[cfg(target_os = "linux")]
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
#[cfg(target_os = "linux")]
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use turnbench_model::Nanos;

/// A timer for one thread: the kernel's (`timerfd`, see its manual page), or the runtime's, which counts
/// in whole milliseconds, where there is none.
pub(crate) enum Timer {
    #[cfg(target_os = "linux")]
    Kernel {
        timer: TimerFd,
        /// The same timer as the runtime sees it: something to be read, as a pipe's end is.
        end: pipe::Receiver,
    },
    Runtime {
        end: Cell<Option<Instant>>,
        set: Notify,
    },
}

impl Timer {
    /// A timer that is not set. To be made inside the runtime.
    pub(crate) fn new() -> Self {
        Self::kernel().unwrap_or_else(|_| Self::runtime())
    }

    /// The runtime's.
    pub(crate) fn runtime() -> Self {
        Self::Runtime { end: Cell::new(None), set: Notify::new() }
    }

    #[cfg(target_os = "linux")]
    fn kernel() -> io::Result<Self> {
        use std::os::fd::AsFd;

        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let end = timer.as_fd().try_clone_to_owned()?;
        Ok(Self::Kernel { timer, end: pipe::Receiver::from_owned_fd_unchecked(end)? })
    }

    #[cfg(not(target_os = "linux"))]
    fn kernel() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How long before a moment it should end, so that who is woken by it is not late.
    pub(crate) const fn early(&self) -> Nanos {
        match self {
            // NOTE(perf): from its end to the woken task it took 10 to 60 µs on an idle 2-core VM.
            #[cfg(target_os = "linux")]
            Self::Kernel { .. } => Nanos(100_000),
            // It rounds up, so that a sleep ends up to 1 ms, here and there 1.1 ms, too late.
            Self::Runtime { .. } => Nanos(1_200_000),
        }
    }

    /// Ends it that long from now, and not when it was set to end before.
    pub(crate) fn set(&self, span: Nanos) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kernel { timer, .. } => {
                // Zero would turn it off.
                let once = Expiration::OneShot(Duration::from_nanos(span.0.max(1)).into());
                // Fails only for a negative span.
                let _ = timer.set(once, TimerSetTimeFlags::empty());
            }
            Self::Runtime { end, set } => {
                end.set(Some(tokio::time::sleep(Duration::from_nanos(span.0)).deadline()));
                set.notify_one();
            }
        }
    }

    /// Returns when it ends.
    pub(crate) async fn expired(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kernel { end, .. } => loop {
                if end.readable().await.is_err() {
                    return std::future::pending().await;
                }
                // Says how often it has ended since; once.
                if end.try_read(&mut [0; size_of::<u64>()]).is_ok() {
                    return;
                }
            },
            Self::Runtime { end, set } => loop {
                let Some(at) = end.get() else {
                    set.notified().await;
                    continue;
                };
                tokio::select! {
                    () = sleep_until(at) => return end.set(None),
                    () = set.notified() => {}
                }
            },
        }
    }
}
