use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Nanos;

/// Who took a receive stamp.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StampSource {
    /// The kernel, when the packet arrived (Linux `SO_TIMESTAMPNS`).
    Kernel,
    /// The client, when it had read the bytes.
    User,
}

/// The moment at which bytes arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    /// Arrival: the kernel's stamp where there is one, else equal to `read_ns`.
    pub at_ns: Nanos,
    /// When the client had read the bytes; `read_ns - at_ns` is what the client itself added.
    pub read_ns: Nanos,
    /// Who stamped `at_ns`.
    pub source: StampSource,
}

impl Received {
    /// A stamp taken by the client itself.
    pub const fn user(read: Nanos) -> Self {
        Self { at_ns: read, read_ns: read, source: StampSource::User }
    }

    /// What the client added between arrival and read.
    pub const fn delay(self) -> Nanos {
        self.read_ns.since(self.at_ns)
    }
}

/// The stamps of one attempt, in the order in which they are taken; monotonic, since the run's
/// epoch. A stamp that was never reached is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stamps {
    /// When the load model wanted the request to be sent.
    pub intended_ns: Nanos,
    /// When its body was ready.
    pub built_ns: Option<Nanos>,
    /// When a new connection was asked for; `None` on a reused one.
    pub connect_ns: Option<Nanos>,
    /// When TCP stood and the TLS handshake began; `None` without TLS or on a reused connection.
    pub handshake_ns: Option<Nanos>,
    /// When the new connection (with TLS) stood.
    pub connected_ns: Option<Nanos>,
    /// Just before the first byte was handed to the kernel.
    pub sent_ns: Option<Nanos>,
    /// When the last byte had been handed to the kernel.
    pub written_ns: Option<Nanos>,
    /// The response head was complete.
    pub headers: Option<Received>,
    /// The first SSE event of any kind was complete (for a plain response: the body).
    pub first_event: Option<Received>,
    /// The first event with content, reasoning or tool-call text was complete.
    pub first_token: Option<Received>,
    /// The last such event.
    pub last_token: Option<Received>,
    /// `[DONE]`, or else the end of the body.
    pub end: Option<Received>,
}
