use turnbench_model::{Nanos, Stamps};

use crate::error::TransportError;
use crate::http1::{Body, ResponseHead};

/// What one exchange brought, undecoded.
#[derive(Debug, Default)]
pub struct RawResponse {
    /// The response's head, where it came.
    pub head: Option<ResponseHead>,
    /// The body, or what came of it; without what a sink took away.
    pub body: Body,
    /// Stamps up to `headers`, and the end of the body as `end`. The decoder fills in the others.
    pub stamps: Stamps,
    /// Number of the connection; `None` when none could be made.
    pub connection: Option<u32>,
    /// Socket reads of the response.
    pub reads_count: u32,
    /// Largest delay between the kernel's receipt of bytes and their read; `None` without kernel stamps.
    pub client_delay_max_ns: Option<Nanos>,
    /// How often the request was sent anew because an idle connection turned out closed: 0 or 1.
    pub reconnects_count: u32,
    /// Why the response is not complete; `None` when it is.
    pub error: Option<TransportError>,
}

impl RawResponse {
    /// The status, where a head came.
    pub fn status(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head.status)
    }
}
