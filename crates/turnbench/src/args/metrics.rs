use clap::Args;

use super::number;

/// Which metrics of the server are watched.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct MetricsArgs {
    /// URL of the server's metrics, where they are elsewhere than at --url/metrics; repeatable
    ///
    /// Routers have them on another port, TensorRT-LLM at /prometheus/metrics. The counters of
    /// several servers are added up. The API key and --header go only to the server of --url.
    /// With --compat vllm only URLs named here are asked: the reference asks for none.
    #[arg(long, value_name = "URL")]
    pub metrics_url: Vec<String>,

    /// Seconds between two looks at the server's metrics while the run goes (0: only before and after)
    #[arg(long, value_parser = number::number, default_value_t = 1.0, value_name = "SECONDS",
        allow_negative_numbers = true)]
    pub metrics_interval: f64,

    /// Do not ask for the server's metrics
    #[arg(long, conflicts_with = "metrics_url")]
    pub no_metrics: bool,
}
