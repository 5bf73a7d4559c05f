use std::net::SocketAddr;
use std::sync::Arc;

use turnbench_model::Clock;

use super::options::RawOptions;
use crate::error::Error;

/// Stands in where there is no epoll: it cannot be made.
#[derive(Debug)]
pub enum RawServer {}

impl RawServer {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn bind(
        _addr: SocketAddr,
        options: RawOptions,
        _clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        options.validate()?;
        Err(Error::RawUnsupported)
    }

    /// Never called.
    pub fn local_addr(&self) -> SocketAddr {
        match *self {}
    }

    /// Never called.
    pub fn stopper(&self) -> RawStop {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn run(self) -> Result<(), Error> {
        match self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn spawn(self) -> Result<RawServerThread, Error> {
        match self {}
    }
}

/// Never made.
#[derive(Clone, Debug)]
pub enum RawStop {}

impl RawStop {
    /// Never called.
    pub fn stop(&self) {
        match *self {}
    }
}

/// Never made.
#[derive(Debug)]
pub enum RawServerThread {}

impl RawServerThread {
    /// Never called.
    pub fn local_addr(&self) -> SocketAddr {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn stop(self) -> Result<(), Error> {
        match self {}
    }
}
