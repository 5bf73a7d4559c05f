//! What vLLM's offloading connector shows of its tiers.

use super::Exposition;
use crate::engine::{TRANSFER_BYTES_BOUNDS, TierKind, TierStats, TransferStats};
use crate::histogram::Histogram;

impl Exposition {
    /// Loads are counted together: whatever tier a block comes from, it ends on the device. Stores are
    /// those to the first tier. The others have metrics of their own, as in vLLM's tiering.
    pub(super) fn offload(&mut self, tiers: &[TierStats]) {
        let Some(first) = tiers.first() else { return };
        if let Some(host) = tiers.iter().find(|tier| tier.kind == TierKind::Host) {
            self.host(host);
        }
        let loads = tiers.iter().map(|tier| tier.loads).reduce(together).unwrap_or_default();
        self.transfers("load", "Loaded from tiers to the device", &loads);
        self.transfers("store", "Stored from the device to the first tier", &first.stores);
        let help = "Stores for whose blocks the first tier made no room.";
        let refused = observed(first.refused_stores, first.refused_stores as f64);
        self.counter_of("kv_offload_allocation_failure", help, &refused);
        if tiers.len() > 1 {
            self.tiering(tiers);
        }
    }

    fn host(&mut self, host: &TierStats) {
        let share = |blocks: u64| blocks as f64 / host.capacity_blocks.max(1) as f64;
        let (reading, writing) = (host.loads.moving_blocks, host.stores.moving_blocks);
        for (name, help, blocks) in [
            (
                "usage",
                "Share of the host's blocks that are being moved, 0 to 1.",
                reading + writing,
            ),
            ("write_usage", "Share of the host's blocks that are being stored.", writing),
            ("read_usage", "Share of the host's blocks that are being loaded.", reading),
        ] {
            self.gauge(&format!("kv_offload_cpu_cache_{name}_perc"), help, share(blocks));
        }
    }

    /// As in vLLM, there is nothing before the first transfer ended.
    fn transfers(&mut self, kind: &str, help: &str, stats: &TransferStats) {
        let seconds = stats.busy_ns.as_secs_f64();
        for (name, unit, value) in
            [("bytes", "bytes", stats.bytes as f64), ("time", "seconds", seconds)]
        {
            let name = format!("kv_offload_{kind}_{name}");
            self.counter_of(&name, &format!("{help}, in {unit}."), &observed(stats.count, value));
        }
        let name = format!("kv_offload_{kind}_size");
        let help = format!("{help} at once, in bytes.");
        if stats.count == 0 {
            self.family(&name, "histogram", &help);
            return;
        }
        let bounds = TRANSFER_BYTES_BOUNDS.to_vec();
        let counts = stats.count_by_size.to_vec();
        self.histogram(&name, &help, &Histogram::of_counts(bounds, counts, stats.bytes as f64));
    }

    fn tiering(&mut self, tiers: &[TierStats]) {
        let others = || tiers.iter().enumerate().skip(1);
        for (name, help, value) in [
            (
                "read_bytes",
                "Bytes loaded from a tier.",
                (|tier| tier.loads.bytes as f64) as fn(&TierStats) -> f64,
            ),
            ("read_time", "Seconds of loads from a tier.", |it| it.loads.busy_ns.as_secs_f64()),
            ("write_bytes", "Bytes stored to a tier.", |tier| tier.stores.bytes as f64),
            ("write_time", "Seconds of stores to a tier.", |it| it.stores.busy_ns.as_secs_f64()),
        ] {
            let samples: Vec<_> =
                others().map(|(place, it)| (label(place, it), value(it))).collect();
            self.counter_of(&format!("kv_offload_tiering_{name}"), help, &samples);
        }
        for (name, help, value) in [
            (
                "chunk_queries",
                "Blocks looked up in a tier.",
                (|tier| tier.queried_blocks as f64) as fn(&TierStats) -> f64,
            ),
            ("chunk_hits", "Of those, blocks found.", |tier| tier.hit_blocks as f64),
        ] {
            let all = tiers.iter().enumerate();
            let samples: Vec<_> = all.map(|(place, it)| (label(place, it), value(it))).collect();
            self.counter_of(&format!("kv_offload_tiering_{name}"), help, &samples);
        }
    }
}

/// vLLM's label of a tier: its place and what it is.
fn label(place: usize, tier: &TierStats) -> String {
    let name = match (place, tier.kind) {
        (0, _) => "primary",
        (_, TierKind::Disk) => "fs",
        (_, TierKind::Host | TierKind::P2p) => tier.kind.name(),
    };
    format!(",tier=\"{place}:{name}\"")
}

/// A sample without further labels, if anything was counted.
fn observed(count: u64, value: f64) -> Vec<(String, f64)> {
    (count > 0).then(|| (String::new(), value)).into_iter().collect()
}

fn together(one: TransferStats, other: TransferStats) -> TransferStats {
    let mut count_by_size = one.count_by_size;
    for (sum, count) in count_by_size.iter_mut().zip(other.count_by_size) {
        *sum += count;
    }
    TransferStats {
        count: one.count + other.count,
        bytes: one.bytes + other.bytes,
        busy_ns: one.busy_ns + other.busy_ns,
        count_by_size,
        moving_blocks: one.moving_blocks + other.moving_blocks,
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::Nanos;

    use crate::engine::{
        EngineOptions, EngineStats, TierKind, TierOptions, TierStats, TransferStats,
    };
    use crate::http::metrics::render;
    use crate::telemetry::{Snapshot, Telemetry};

    fn moved(count: u64, bytes: u64, millis: u64) -> TransferStats {
        let mut count_by_size = [0; 11];
        count_by_size[1] = count;
        let busy_ns = Nanos::from_millis(millis);
        TransferStats { count, bytes, busy_ns, count_by_size, moving_blocks: 1 }
    }

    /// The text of an engine with these tiers, of ten blocks each, without comments and start times.
    fn text(kinds: &[TierKind], loads: TransferStats, stores: TransferStats) -> Vec<String> {
        let tier = |kind: &TierKind| TierStats {
            kind: *kind,
            capacity_blocks: 10,
            held_blocks: 5,
            evicted_blocks: 2,
            refused_stores: 0,
            queried_blocks: 7,
            hit_blocks: 4,
            loads,
            stores,
        };
        let options = EngineOptions {
            tiers: kinds.iter().map(|kind| TierOptions::new(*kind, 20 << 20, 1e9)).collect(),
            ..EngineOptions::default()
        };
        let snapshot = Snapshot {
            options,
            stats: EngineStats {
                waiting: 3,
                loading: 2,
                external_prefix_cache_queries: 900,
                external_prefix_cache_hits: 800,
                prompt_tokens: 1000,
                prompt_tokens_cached: 850,
                prompt_tokens_by_tier: [500, 300, 0],
                ..EngineStats::default()
            },
            tiers: kinds.iter().map(tier).collect(),
            telemetry: Telemetry::new(2048),
        };
        let text = render(&snapshot, "lab", 1.5e9);
        let lines =
            text.lines().filter(|line| !line.starts_with('#') && !line.contains("_created"));
        lines
            .map(|line| line.replace("engine=\"0\",", "").replace("model_name=\"lab\"", "M"))
            .collect()
    }

    fn starting_with<'a>(text: &'a [String], start: &str) -> Vec<&'a str> {
        text.iter().filter_map(|line| line.strip_prefix(start)).collect()
    }

    #[test]
    fn tiers_show_under_vllms_names() {
        let text =
            text(&[TierKind::Host, TierKind::Disk], moved(2, 3_000_000, 250), moved(4, 9, 8));
        let offload = starting_with(&text, "vllm:kv_offload_");
        let plain: Vec<_> = offload.into_iter().filter(|line| !line.contains("bucket")).collect();
        assert_eq!(
            plain,
            [
                "cpu_cache_usage_perc{M} 0.2",
                "cpu_cache_write_usage_perc{M} 0.1",
                "cpu_cache_read_usage_perc{M} 0.1",
                "load_bytes_total{M} 6e+06",
                "load_time_total{M} 0.5",
                "load_size_count{M} 4.0",
                "load_size_sum{M} 6e+06",
                "store_bytes_total{M} 9.0",
                "store_time_total{M} 0.008",
                "store_size_count{M} 4.0",
                "store_size_sum{M} 9.0",
                "tiering_read_bytes_total{M,tier=\"1:fs\"} 3e+06",
                "tiering_read_time_total{M,tier=\"1:fs\"} 0.25",
                "tiering_write_bytes_total{M,tier=\"1:fs\"} 9.0",
                "tiering_write_time_total{M,tier=\"1:fs\"} 0.008",
                "tiering_chunk_queries_total{M,tier=\"0:primary\"} 7.0",
                "tiering_chunk_queries_total{M,tier=\"1:fs\"} 7.0",
                "tiering_chunk_hits_total{M,tier=\"0:primary\"} 4.0",
                "tiering_chunk_hits_total{M,tier=\"1:fs\"} 4.0",
            ]
        );
        let bucket = starting_with(&text, "vllm:kv_offload_load_size_bucket");
        assert_eq!(bucket[..2], ["{le=\"1e+06\",M} 0.0", "{le=\"5e+06\",M} 4.0"]);
        assert_eq!(bucket.last(), Some(&"{le=\"+Inf\",M} 4.0"));
    }

    #[test]
    fn cached_tokens_are_told_by_source() {
        let text = text(&[TierKind::Host, TierKind::Disk], moved(0, 0, 0), moved(0, 0, 0));
        assert_eq!(starting_with(&text, "vllm:external_prefix_cache_hits_total"), ["{M} 800.0"]);
        assert_eq!(
            starting_with(&text, "vllm:prompt_tokens_by_source_total"),
            [
                "{M,source=\"local_compute\"} 150.0",
                "{M,source=\"local_cache_hit\"} 50.0",
                "{M,source=\"external_kv_transfer\"} 800.0",
            ]
        );
        assert_eq!(
            starting_with(&text, "vllm:prompt_tokens_cached_by_source_total"),
            [
                "{M,source=\"device\"} 50.0",
                "{M,source=\"host\"} 500.0",
                "{M,source=\"p2p\"} 0.0",
                "{M,source=\"disk\"} 300.0",
                "{M,source=\"external_unspecified\"} 0.0",
            ]
        );
        assert_eq!(
            starting_with(&text, "vllm:num_requests_waiting_by_reason"),
            ["{M,reason=\"capacity\"} 1.0", "{M,reason=\"deferred\"} 2.0"]
        );
    }

    #[test]
    fn a_figure_is_missing_before_its_first_transfer() {
        let text = text(&[TierKind::Disk], moved(0, 0, 0), moved(0, 0, 0));
        assert_eq!(starting_with(&text, "vllm:kv_offload_"), [""; 0]);
    }
}
