use std::net::{Ipv4Addr, UdpSocket};

use crate::receive::enable_stamps;

/// Keeps the kernel stamping for as long as it lives.
///
/// Linux stamps packets only while some socket asks for it, and begins a moment after the first one
/// has asked (`net_enable_timestamp` in net/core/dev.c leaves it to a work queue). So the first
/// packets of a program's first connection, or after a pause without connections, would come
/// without a stamp. Make one early; nothing is sent or received on it.
#[derive(Debug)]
pub struct StampKeeper {
    _socket: Option<UdpSocket>,
}

impl StampKeeper {
    /// Asks the kernel to stamp. Where it cannot, nothing happens.
    pub fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok();
        Self { _socket: socket.filter(enable_stamps) }
    }
}

impl Default for StampKeeper {
    fn default() -> Self {
        Self::new()
    }
}
