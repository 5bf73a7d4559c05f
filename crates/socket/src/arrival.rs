use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use turnbench_model::StampSource;

/// When the bytes of the latest request arrived, seen from the server's side.
///
/// Shared between a [`crate::StampedStream`] that an HTTP library owns and the code that answers.
/// A request is what arrives between two writes, so it holds for HTTP/1.1 without pipelining
/// and without `100 Continue`.
#[derive(Debug, Default)]
pub struct RequestArrival {
    first_unix_ns: AtomicU64,
    last_unix_ns: AtomicU64,
    all_from_kernel: AtomicBool,
}

/// A reading of [`RequestArrival`]. Wall-clock nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arrival {
    /// Arrival of the first read's bytes.
    pub first_unix_ns: u64,
    /// Arrival of the last read's bytes so far.
    pub last_unix_ns: u64,
    /// [`StampSource::Kernel`] when every read of the request had a kernel stamp.
    pub source: StampSource,
}

impl RequestArrival {
    /// The latest request; `None` before the first byte.
    pub fn latest(&self) -> Option<Arrival> {
        let first_unix_ns = self.first_unix_ns.load(Ordering::Acquire);
        (first_unix_ns != 0).then(|| Arrival {
            first_unix_ns,
            last_unix_ns: self.last_unix_ns.load(Ordering::Acquire),
            source: if self.all_from_kernel.load(Ordering::Acquire) {
                StampSource::Kernel
            } else {
                StampSource::User
            },
        })
    }

    /// Notes a read; `first` when the stream has written since the previous one.
    pub(crate) fn note(&self, unix_ns: u64, source: StampSource, first: bool) {
        let from_kernel = source == StampSource::Kernel;
        if first {
            self.all_from_kernel.store(from_kernel, Ordering::Release);
        } else if !from_kernel {
            self.all_from_kernel.store(false, Ordering::Release);
        }
        self.last_unix_ns.store(unix_ns, Ordering::Release);
        if first {
            self.first_unix_ns.store(unix_ns, Ordering::Release);
        }
    }
}
