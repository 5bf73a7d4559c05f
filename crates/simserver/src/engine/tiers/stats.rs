use turnbench_model::Nanos;

use super::TierKind;

/// Upper bounds of the sizes of transfers that are counted apart, in bytes: those of vLLM's histograms
/// `vllm:kv_offload_load_size` and `_store_size` (0.32).
pub const TRANSFER_BYTES_BOUNDS: [f64; 10] = [1e6, 5e6, 1e7, 2e7, 4e7, 6e7, 8e7, 1e8, 1.5e8, 2e8];

/// What was moved in one direction of a tier.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TransferStats {
    /// Transfers that ended.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The sum of their times, from start to end, latency included; together they may run longer than
    /// the clock.
    pub busy_ns: Nanos,
    /// Transfers by size: up to each of [`TRANSFER_BYTES_BOUNDS`] and above the one before, and at the
    /// end those above all.
    pub count_by_size: [u64; TRANSFER_BYTES_BOUNDS.len() + 1],
    /// Blocks that are on their way.
    pub moving_blocks: u64,
}

impl TransferStats {
    pub(super) fn ended(&mut self, bytes: u64, time: Nanos) {
        self.count += 1;
        self.bytes += bytes;
        self.busy_ns = self.busy_ns + time;
        let size = TRANSFER_BYTES_BOUNDS.partition_point(|bound| *bound < bytes as f64);
        self.count_by_size[size] += 1;
    }
}

/// Gauges and counters of a tier. Counters run from the start of the engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TierStats {
    /// Where it is.
    pub kind: TierKind,
    /// Blocks that it can hold.
    pub capacity_blocks: u64,
    /// Blocks that it holds, those that are still being stored included.
    pub held_blocks: u64,
    /// Blocks that were evicted.
    pub evicted_blocks: u64,
    /// Stores for which no room could be made, or not for all of their blocks.
    pub refused_stores: u64,
    /// Blocks looked up at admissions.
    pub queried_blocks: u64,
    /// Of those, blocks that this tier was the first to have.
    pub hit_blocks: u64,
    /// From it to the device.
    pub loads: TransferStats,
    /// From the device to it.
    pub stores: TransferStats,
}

impl TierStats {
    pub(super) fn new(kind: TierKind, capacity_blocks: u64) -> Self {
        Self {
            kind,
            capacity_blocks,
            held_blocks: 0,
            evicted_blocks: 0,
            refused_stores: 0,
            queried_blocks: 0,
            hit_blocks: 0,
            loads: TransferStats::default(),
            stores: TransferStats::default(),
        }
    }
}
