//! What `turnbench selfcheck` finds out about the client's own machine.

mod advice;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use advice::{RAISE_HARD_FILE_LIMIT, SPARE_FILES, advice};

use crate::{Capacity, Describe};

/// Version of the selfcheck's serialised form.
pub const SELFCHECK_SCHEMA_VERSION: u32 = 1;

/// What the client can do on this machine, and on the way to a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Selfcheck {
    /// [`SELFCHECK_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of turnbench.
    pub turnbench_version: String,
    /// Whether this turnbench was built with optimisation.
    pub optimized: bool,
    /// When: ns since the Unix epoch.
    pub measured_unix_ns: u64,
    /// The machine.
    pub machine: Machine,
    /// Its clock.
    pub clock: ClockQuality,
    /// Speed of one thread; `None` where it could not be measured, as on systems other than Linux.
    pub speed: Option<Speed>,
    /// The client under loads, the lightest first.
    pub loads: Vec<LoadCheck>,
    /// The way to the server of `--url`.
    pub network: Option<NetworkCheck>,
    /// What could not be measured, and why.
    pub missing: Vec<String>,
}

/// The client's machine, as far as it limits the client. Absent means that the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// CPU model.
    pub cpu_model: Option<String>,
    /// Logical cores that the client may use.
    pub cpu_cores: Option<u32>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// CPU limit of the control group, in cores; absent without a limit.
    pub cpu_limit_cores: Option<f64>,
    /// Frequency governors in use, without repetition.
    pub governors: Vec<String>,
    /// What the kernel reads time from, e.g. `tsc`.
    pub clock_source: Option<String>,
    /// Files that the process may open as it starts (`ulimit -Sn`).
    pub file_limit_soft: Option<u64>,
    /// Files up to which every process may raise that (`ulimit -Hn`).
    pub file_limit_hard: Option<u64>,
    /// Files that a run may open, which raises its limit by itself: the hard limit, or the kernel's
    /// (`fs.nr_open`) where the process has the right to go beyond the hard one.
    pub files_max: Option<u64>,
    /// Local ports, each good for one connection to one server address.
    pub local_ports: Option<u32>,
}

/// How well the clock measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockQuality {
    /// Smallest step between two reads, in ns.
    pub resolution_ns: u64,
    /// Cost of a read, in ns.
    pub read_cost_ns: f64,
}

/// What one thread of the client does at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Speed {
    /// One-token answers per second, one after another on 32 connections.
    pub requests_per_sec: f64,
    /// Events per second where 16 arrive at a time.
    pub events_per_sec: f64,
    /// CPU time of a request and of an event, the latter under the heaviest load.
    pub capacity: Capacity,
}

/// The client under one load: streams that start together, 50 ms to the first token, then a token
/// every 10 ms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadCheck {
    /// Streams asked for.
    pub streams: u64,
    /// Most in flight at a time.
    pub streams_peak: u64,
    /// Threads of the client.
    pub threads: u32,
    /// Share (0..1) of first tokens that the kernel stamped.
    pub kernel_stamped_ratio: Option<f64>,
    /// From an event's arrival to its read; kernel stamps keep it out of every time.
    pub client_delay_ms: Describe,
    /// From a request's due time to its sending, connecting left out.
    pub held_back_ms: Describe,
    /// CPU share of the busiest thread.
    pub thread_busy_ratio: Option<f64>,
}

/// The way to a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkCheck {
    /// The server's base URL.
    pub url: String,
    /// Time to open a TCP connection, without TLS: one round trip through the network. The first one
    /// looks the host's name up too.
    pub connect_ms: Describe,
    /// From sending `GET /health` on an open connection to the head of the answer: a round trip, and
    /// what the server takes. Fewer samples where the server is slow.
    pub health_ms: Describe,
    /// HTTP status of the last answer.
    pub health_status: u16,
}

impl Machine {
    /// Clients that a run can have: each needs a socket, and some files are needed beside them.
    pub fn clients_max(&self) -> Option<u64> {
        self.files_max.map(|files| files.saturating_sub(SPARE_FILES))
    }
}

impl Selfcheck {
    /// What a verdict needs.
    pub fn capacity(&self) -> Option<Capacity> {
        self.speed.map(|speed| speed.capacity)
    }
}
