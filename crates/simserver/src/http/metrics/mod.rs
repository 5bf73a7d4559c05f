mod offload;

use std::fmt::Write;

use super::json::push_string;
use crate::engine::TierKind;
use crate::histogram::Histogram;
use crate::telemetry::Snapshot;

/// Writes the text that a Prometheus server scrapes: vLLM's names, labels and order, own words for
/// what they are, and only what the simulation knows.
pub(crate) struct Exposition {
    out: String,
    /// `model_name="…"`.
    model: String,
    /// When the server started, in seconds since the Unix epoch.
    created: f64,
}

/// The text of `/metrics`.
pub(crate) fn render(snapshot: &Snapshot, model: &str, created: f64) -> String {
    let mut label = String::from("model_name=");
    push_string(&mut label, model);
    let mut text = Exposition { out: String::with_capacity(64 << 10), model: label, created };
    text.gauges(snapshot);
    text.counters(snapshot);
    text.histograms(snapshot);
    text.cache_config(snapshot);
    text.offload(&snapshot.tiers);
    text.out
}

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.out, "# HELP vllm:{name} {help}\n# TYPE vllm:{name} {kind}");
    }

    /// One sample; `extra` holds labels, each followed by a comma, that sort between `engine` and
    /// `model_name`, `after` those behind.
    fn sample(&mut self, name: &str, extra: &str, after: &str, value: f64) {
        let _ = writeln!(
            self.out,
            "vllm:{name}{{engine=\"0\",{extra}{}{after}}} {}",
            self.model,
            number(value)
        );
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.sample(name, "", "", value);
    }

    fn gauges(&mut self, snapshot: &Snapshot) {
        let stats = &snapshot.stats;
        let waiting = f64::from(stats.waiting);
        let deferred = f64::from(stats.loading);
        self.gauge("num_requests_running", "Requests in the batch.", f64::from(stats.running));
        self.gauge("num_requests_waiting", "Requests in the queue.", waiting);
        self.family("num_requests_waiting_by_reason", "gauge", "Requests in the queue, by reason.");
        for (reason, value) in [("capacity", waiting - deferred), ("deferred", deferred)] {
            let after = format!(",reason=\"{reason}\"");
            self.sample("num_requests_waiting_by_reason", "", &after, value);
        }
        self.family("engine_sleep_state", "gauge", "Whether the engine sleeps; it never does.");
        for (state, value) in [("awake", 1.0), ("weights_offloaded", 0.0), ("discard_all", 0.0)] {
            let after = format!(",sleep_state=\"{state}\"");
            self.sample("engine_sleep_state", "", &after, value);
        }
        self.gauge(
            "kv_cache_usage_perc",
            "Share of KV blocks in use, 0 to 1.",
            stats.kv_usage_ratio,
        );
    }

    /// A counter with samples of (labels before, labels behind, value).
    fn counter(&mut self, name: &str, help: &str, samples: &[(&str, &str, u64)]) {
        let total = format!("{name}_total");
        self.family(&total, "counter", help);
        for (extra, after, value) in samples {
            self.sample(&total, extra, after, *value as f64);
        }
        let created = format!("{name}_created");
        self.family(&created, "gauge", help);
        for (extra, after, _) in samples {
            self.sample(&created, extra, after, self.created);
        }
    }

    /// A counter with samples of (labels behind, value).
    fn counter_of(&mut self, name: &str, help: &str, samples: &[(String, f64)]) {
        let total = format!("{name}_total");
        self.family(&total, "counter", help);
        for (after, value) in samples {
            self.sample(&total, "", after, *value);
        }
        let created = format!("{name}_created");
        self.family(&created, "gauge", help);
        for (after, _) in samples {
            self.sample(&created, "", after, self.created);
        }
    }

    /// What tiers gave.
    fn external(&mut self, snapshot: &Snapshot) {
        let stats = &snapshot.stats;
        let (queries, hits) = if snapshot.tiers.is_empty() {
            let none = "Always 0: there is no external cache.";
            (none, none)
        } else {
            ("Prompt tokens looked up in tiers.", "Prompt tokens found in tiers.")
        };
        let plain = |value| [("", "", value)];
        let (queried, found) =
            (stats.external_prefix_cache_queries, stats.external_prefix_cache_hits);
        self.counter("external_prefix_cache_queries", queries, &plain(queried));
        self.counter("external_prefix_cache_hits", hits, &plain(found));
    }

    fn counters(&mut self, snapshot: &Snapshot) {
        let stats = &snapshot.stats;
        let plain = |value| [("", "", value)];
        let (queries, hits) = (stats.prefix_cache_queries, stats.prefix_cache_hits);
        self.counter("prefix_cache_queries", "Prompt tokens looked up.", &plain(queries));
        self.counter("prefix_cache_hits", "Prompt tokens found in the cache.", &plain(hits));
        self.external(snapshot);
        let preemptions = stats.preemptions;
        self.counter("num_preemptions", "Times a request lost its blocks.", &plain(preemptions));
        let (prompt, cached) = (stats.prompt_tokens, stats.prompt_tokens_cached);
        let loaded: u64 = stats.prompt_tokens_by_tier.iter().sum();
        let on_device = cached.saturating_sub(loaded);
        let from = |kind| {
            let tiers = snapshot.tiers.iter().zip(stats.prompt_tokens_by_tier);
            tiers.filter(|(tier, _)| tier.kind == kind).map(|(_, tokens)| tokens).sum::<u64>()
        };
        self.counter("prompt_tokens", "Prompt tokens of started answers.", &plain(prompt));
        self.counter(
            "prompt_tokens_by_source",
            "Prompt tokens of started answers, by origin of their KV entries.",
            &[
                ("", ",source=\"local_compute\"", prompt.saturating_sub(cached)),
                ("", ",source=\"local_cache_hit\"", on_device),
                ("", ",source=\"external_kv_transfer\"", loaded),
            ],
        );
        self.counter("prompt_tokens_cached", "Of the prompt tokens, cached ones.", &plain(cached));
        self.counter(
            "prompt_tokens_cached_by_source",
            "Of the prompt tokens, cached ones, by place.",
            &[
                ("", ",source=\"device\"", on_device),
                ("", ",source=\"host\"", from(TierKind::Host)),
                ("", ",source=\"p2p\"", from(TierKind::P2p)),
                ("", ",source=\"disk\"", from(TierKind::Disk)),
                ("", ",source=\"external_unspecified\"", 0),
            ],
        );
        let generated = stats.generation_tokens;
        self.counter("generation_tokens", "Answer tokens made.", &plain(generated));
        self.counter(
            "request_success",
            "Answers that ended, by reason.",
            &[
                ("finished_reason=\"stop\",", "", stats.success_stop),
                ("finished_reason=\"length\",", "", stats.success_length),
                ("finished_reason=\"abort\",", "", 0),
                ("finished_reason=\"error\",", "", 0),
                ("finished_reason=\"repetition\",", "", 0),
            ],
        );
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in histogram.cumulative() {
            self.sample(&bucket, &format!("le=\"{}\",", number(bound)), "", count as f64);
        }
        self.sample(&format!("{name}_count"), "", "", histogram.count() as f64);
        self.sample(&format!("{name}_sum"), "", "", histogram.sum());
        let created = format!("{name}_created");
        self.family(&created, "gauge", help);
        self.sample(&created, "", "", self.created);
    }

    fn histograms(&mut self, snapshot: &Snapshot) {
        let seen = &snapshot.telemetry;
        for (name, help, histogram) in [
            ("request_prompt_tokens", "Prompt tokens of a request.", &seen.prompt_tokens),
            ("request_generation_tokens", "Answer tokens of a request.", &seen.generation_tokens),
            (
                "iteration_tokens_total",
                "Prompt tokens computed and answer tokens made in a step.",
                &seen.step_tokens,
            ),
            (
                "request_max_num_generation_tokens",
                "Answer tokens of a request's longest answer.",
                &seen.max_generation_tokens,
            ),
            ("request_params_n", "Answers asked for per request.", &seen.params_n),
            ("request_params_max_tokens", "Answer tokens allowed.", &seen.params_max_tokens),
            ("time_to_first_token_seconds", "From arrival to the first token.", &seen.first_token),
            ("inter_token_latency_seconds", "From token to token.", &seen.token_gap),
            (
                "request_time_per_output_token_seconds",
                "Mean time between the tokens of a request.",
                &seen.time_per_token,
            ),
            ("e2e_request_latency_seconds", "From arrival to the last token.", &seen.latency),
            ("request_queue_time_seconds", "From arrival to scheduling.", &seen.queue),
            (
                "request_inference_time_seconds",
                "From scheduling to the last token.",
                &seen.inference,
            ),
            ("request_prefill_time_seconds", "From scheduling to the first token.", &seen.prefill),
            ("request_decode_time_seconds", "From the first to the last token.", &seen.decode),
            ("request_num_preemptions", "Times a request lost its blocks.", &seen.preemptions),
            (
                "request_prefill_kv_computed_tokens",
                "Prompt tokens of a request that were computed.",
                &seen.prefill_computed,
            ),
        ] {
            self.histogram(name, help, histogram);
        }
    }

    fn cache_config(&mut self, snapshot: &Snapshot) {
        let options = &snapshot.options;
        self.family("cache_config_info", "gauge", "The cache's options, as labels.");
        let prefix_caching = if options.prefix_caching { "True" } else { "False" };
        let tokens = u64::from(options.kv_blocks) * u64::from(options.block_size);
        let _ = writeln!(
            self.out,
            "vllm:cache_config_info{{block_size=\"{}\",enable_prefix_caching=\"{prefix_caching}\",\
             engine=\"0\",kv_cache_size_tokens=\"{tokens}\",num_gpu_blocks=\"{}\"}} 1.0",
            options.block_size, options.kv_blocks,
        );
    }
}

/// A number as Prometheus' Python client writes it: always a float, exponents from a million on.
fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    if value < 1e6 {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{mantissa}e+0{exponent}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_written_as_the_python_client_writes_them() {
        for (value, expect) in [
            (0.0, "0.0"),
            (18.0, "18.0"),
            (0.000_300_498_000_797_233_54, "0.00030049800079723354"),
            (4_856_205_312.0, "4.856205312e+09"),
            (999_999.0, "999999.0"),
            (2e6, "2e+06"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(number(value), expect);
        }
    }
}
