//! A TCP stream that knows when its bytes arrived.
//!
//! Floor 1: imports `turnbench-model` only. It moves bytes and stamps; it knows nothing of HTTP, and it
//! never decides when to read.
//!
//! On Linux every read is a `recvmsg` that asks for `SO_TIMESTAMPNS`, so that a stamp says when
//! the kernel received the bytes, however late the program got round to reading them. Elsewhere,
//! and for the few packets that carry no stamp, the moment after the read is taken, and the stamp
//! says so ([`turnbench_model::StampSource`]).
//!
//! **What a stamp of TCP bytes means.** TCP has no messages: the kernel joins segments that wait
//! in the receive queue, and keeps the stamp of the last one. A read's stamp is therefore the arrival
//! of the *last* segment in it: exact when the read holds one segment, an upper bound (never more
//! than the moment of reading) for earlier bytes of the same read.
//!
//! **From the wall clock to the monotonic one.** The kernel stamps by the wall clock. How far that is
//! ahead is measured when a stream is made, the wall clock read between two readings of the monotonic one,
//! and looked after at every read; a stamp is converted to within half the span between these readings
//! (below 0.1 µs on a machine with a vDSO). Where the wall clock was set since the read before, the
//! read's stamp is the program's own, and the next one is the kernel's again.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use std::sync::Arc;
//! use tokio::io::AsyncReadExt;
//! use turnbench_model::MonotonicClock;
//! use turnbench_socket::StampedStream;
//!
//! let tcp = tokio::net::TcpStream::connect("127.0.0.1:8000").await?;
//! let mut stream = StampedStream::new(tcp, Arc::new(MonotonicClock::start()))?;
//! let mut buffer = [0; 1024];
//! stream.read(&mut buffer).await?;
//! if let Some(received) = stream.last_read() {
//!     println!("read {} ns after it arrived", received.delay().0);
//! }
//! # Ok(())
//! # }
//! ```

mod arrival;
mod keeper;
mod receive;
mod stamp;
mod stream;

pub use arrival::{Arrival, RequestArrival};
pub use keeper::StampKeeper;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use receive::{Receipt, receive};
pub use stream::StampedStream;
