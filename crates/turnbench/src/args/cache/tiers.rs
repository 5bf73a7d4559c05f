use std::path::PathBuf;

use clap::Args;
use turnbench_model::Nanos;

use crate::args::{KvBytesArgs, ServerArgs, number, unit};

/// Seconds by unit.
const TIMES: [(&str, f64); 4] = [("s", 1.0), ("m", 60.0), ("min", 60.0), ("h", 3_600.0)];

/// `turnbench cache tiers`.
#[derive(Debug, Args)]
#[command(
    display_name = "turnbench",
    after_help = "Examples:\n  turnbench cache tiers --url http://localhost:8000\n  turnbench cache tiers \
    --url http://localhost:8000 --kv-bytes-per-token 131072 --budget 30m --json tiers.json"
)]
pub(crate) struct TiersArgs {
    #[command(flatten)]
    pub server: ServerArgs,

    /// URL of the server's metrics, where they are elsewhere than at --url/metrics; repeatable
    #[arg(long, value_name = "URL", help_heading = "Server")]
    pub metrics_url: Vec<String>,

    /// Do not ask for the server's metrics
    #[arg(long, conflicts_with = "metrics_url", help_heading = "Server")]
    pub no_metrics: bool,

    #[command(flatten)]
    pub kv_bytes: KvBytesArgs,

    /// How long it may take: 90s, 10m, 1h; what was not measured by then is told
    #[arg(long, value_parser = time, default_value = "10m", value_name = "TIME")]
    pub budget: Nanos,

    /// Length of the prompts in tokens [default: a 32nd of the cache that the server reports, or 512]
    ///
    /// Longer prompts make times clearer, shorter ones cost less. For speeds some of half, twice and four
    /// times the length are sent as well.
    #[arg(long, value_parser = number::positive, value_name = "TOKENS")]
    pub prompt_tokens: Option<u32>,

    /// Do not ask the server to empty its prefix cache first (POST /reset_prefix_cache)
    #[arg(long)]
    pub no_reset: bool,

    /// Seconds until a request fails
    #[arg(long, value_parser = number::positive, default_value_t = 120, value_name = "SECONDS")]
    pub request_timeout_sec: u32,

    /// Extra keys of every request body, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub extra_body: Option<String>,

    /// Write the report as JSON (docs/schema/tiers-report.json)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Where to keep the records ("none": nowhere) [default: runs/<UTC time>-tiers]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<String>,
}

fn time(text: &str) -> Result<Nanos, String> {
    let parsed = unit::split(text).and_then(|(number, unit)| {
        let (_, seconds) = TIMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        Some(number * seconds)
    });
    let usable = parsed.filter(|seconds| (1.0..=1e6).contains(seconds));
    let usable = usable.map(Nanos::from_secs_f64);
    usable.ok_or_else(|| "it must be a time of at least 1s, such as 90s, 10m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use turnbench_model::Nanos;

    use super::time;

    #[test]
    fn times_have_a_unit() {
        let parsed = ["90s", "10m", "1.5 min", "1H"].map(time);
        assert_eq!(parsed, [90, 600, 90, 3_600].map(|it| Ok(Nanos::from_millis(it * 1_000))));
        for text in ["", "10", "m", "0s", "0.5s", "-1m", "10d", "1e9h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
