use turnbench_model::Nanos;

/// Most tiers behind the device: one of each kind.
pub const TIERS_MAX: usize = 3;

/// Where a tier is, in vLLM's words for where cached tokens come from.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TierKind {
    /// The machine's main memory.
    Host,
    /// A disk.
    Disk,
    /// Another machine's memory.
    P2p,
}

impl TierKind {
    /// All of them.
    pub const ALL: [Self; TIERS_MAX] = [Self::Host, Self::Disk, Self::P2p];

    /// Its name, as the label `source` of `vllm:prompt_tokens_cached_by_source_total` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Disk => "disk",
            Self::P2p => "p2p",
        }
    }
}

/// A place behind the device's cache that keeps KV blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct TierOptions {
    /// Where it is.
    pub kind: TierKind,
    /// Its size in bytes; blocks are whole, so the last ones may stay unused.
    pub capacity_bytes: u64,
    /// Bytes per second from it to the device, 1 to 1e15; loads that run together share it.
    pub load_bytes_per_sec: f64,
    /// Bytes per second from the device to it, 1 to 1e15; stores that run together share it.
    pub store_bytes_per_sec: f64,
    /// What passes before a load's first byte moves, at most a minute.
    pub latency: Nanos,
    /// A fault: it takes every block, at its cost, and has none of them afterwards.
    pub keeps_nothing: bool,
}

impl TierOptions {
    /// A tier without latency and faults.
    pub const fn new(kind: TierKind, capacity_bytes: u64, bytes_per_sec: f64) -> Self {
        Self {
            kind,
            capacity_bytes,
            load_bytes_per_sec: bytes_per_sec,
            store_bytes_per_sec: bytes_per_sec,
            latency: Nanos::ZERO,
            keeps_nothing: false,
        }
    }
}
