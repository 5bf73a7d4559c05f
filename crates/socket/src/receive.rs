use std::io;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use tokio::net::TcpStream;

/// What one receive call gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Bytes read; 0 is the end of the stream.
    pub len: usize,
    /// The kernel's stamp of the last segment read, in nanoseconds since the Unix epoch; `None` without
    /// one.
    pub kernel_ns: Option<u64>,
}

/// Asks the kernel to stamp what arrives. `false` where it cannot.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn enable_stamps(socket: &impl std::os::fd::AsFd) -> bool {
    nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::ReceiveTimestampns, &true)
        .is_ok()
}

/// Asks the kernel to stamp what arrives. `false` where it cannot.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn enable_stamps<S>(_socket: &S) -> bool {
    false
}

/// Receives what is there, with the kernel's stamp if the socket asks for stamps. Never waits.
///
/// # Errors
/// As `recvmsg` says; [`io::ErrorKind::WouldBlock`] when nothing is there.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn receive(tcp: &impl std::os::fd::AsRawFd, buffer: &mut [u8]) -> io::Result<Receipt> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

    // Room for one timestamp message (header 16 bytes, timespec 16 bytes), aligned as the
    // kernel's header wants it.
    #[repr(align(8))]
    struct Control([u8; 64]);

    let mut control = Control([0; 64]);
    let mut slices = [io::IoSliceMut::new(buffer)];
    let message =
        recvmsg::<()>(tcp.as_raw_fd(), &mut slices, Some(&mut control.0), MsgFlags::MSG_DONTWAIT)?;
    let mut kernel_ns = None;
    if let Ok(messages) = message.cmsgs() {
        for control_message in messages {
            if let ControlMessageOwned::ScmTimestampns(at) = control_message {
                let seconds = u64::try_from(at.tv_sec()).unwrap_or(0);
                let nanos = u64::try_from(at.tv_nsec()).unwrap_or(0);
                kernel_ns = Some(seconds.saturating_mul(1_000_000_000).saturating_add(nanos));
            }
        }
    }
    Ok(Receipt { len: message.bytes, kernel_ns })
}

/// Receives what is there.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn receive(tcp: &TcpStream, buffer: &mut [u8]) -> io::Result<Receipt> {
    Ok(Receipt { len: tcp.try_read(buffer)?, kernel_ns: None })
}
