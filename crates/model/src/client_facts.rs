use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Nanos;

/// One thread of the client: its event loop and the clients on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShardFacts {
    /// Its number, from 0.
    pub shard: u32,
    /// Clients on it.
    pub clients_count: u32,
    /// From its first client's start to its last client's end.
    pub wall_ns: Nanos,
    /// CPU time of the thread in that span, user and system; absent where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<Nanos>,
    /// Of that, the time in which the thread did nothing but look at the clock until it was time to
    /// send a request. It gives way to any work, so it is idle time.
    #[serde(default)]
    pub spun_ns: Nanos,
    /// How late a timer was that the loop set itself every 100 ms, timer by timer. The loop's timers
    /// count in whole milliseconds, so that up to 1.1 ms says nothing.
    #[serde(default)]
    pub loop_lags_ns: Vec<Nanos>,
    /// The largest of all lags, also of those no longer listed in a long run.
    #[serde(default)]
    pub loop_lag_max_ns: Nanos,
}

/// How long a connection took to open. Stamps count from the run's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenedConnection {
    /// Its number within the run.
    pub connection: u32,
    /// When it was asked for.
    pub connect_ns: Nanos,
    /// When TCP stood and the TLS handshake began; absent without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake_ns: Option<Nanos>,
    /// When it stood.
    pub connected_ns: Nanos,
}
