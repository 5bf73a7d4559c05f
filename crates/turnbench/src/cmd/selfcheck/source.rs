use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use turnbench_model::{MonotonicClock, Nanos};
use turnbench_simserver::raw::{RawOptions, RawServer, RawServerThread};

/// Model name of the source.
pub(super) const MODEL: &str = "raw";

/// `turnbench serve --raw-speed` on a thread of its own, on a free port of the loopback.
pub(super) struct Source {
    server: RawServerThread,
}

impl Source {
    /// Sends as fast as the client takes it, so many events at a time.
    pub(super) fn at_full_speed(events_per_write: u32) -> anyhow::Result<Self> {
        Self::start(RawOptions { events_per_write, ..RawOptions::default() })
    }

    /// Sends on a schedule.
    pub(super) fn paced(ttft: Nanos, itl: Nanos) -> anyhow::Result<Self> {
        Self::start(RawOptions { ttft, itl, ..RawOptions::default() })
    }

    fn start(options: RawOptions) -> anyhow::Result<Self> {
        let options = RawOptions { served_model_name: MODEL.to_owned(), ..options };
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let server = RawServer::bind(address, options, Arc::new(MonotonicClock::start()))?;
        Ok(Self { server: server.spawn()? })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    pub(super) fn stop(self) -> anyhow::Result<()> {
        Ok(self.server.stop()?)
    }
}
