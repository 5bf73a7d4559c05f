use std::process::Command;

use serde::Deserialize;

use super::{Client, Job, Kind, Reported, Seen, json_lines};

/// NVIDIA's AIPerf.
#[derive(Debug)]
pub(crate) struct Aiperf {
    pub(crate) program: String,
}

/// A line of `profile_export.jsonl`.
#[derive(Deserialize)]
struct Line {
    metadata: Metadata,
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Metadata {
    x_request_id: Option<String>,
}

#[derive(Deserialize)]
struct Metrics {
    time_to_first_token: Option<Value<f64>>,
    /// Mean of a request.
    inter_token_latency: Option<Value<f64>>,
    inter_chunk_latency: Option<Value<Vec<f64>>>,
}

/// In milliseconds.
#[derive(Deserialize)]
struct Value<T> {
    value: T,
}

impl Client for Aiperf {
    fn name(&self) -> &'static str {
        "AIPerf"
    }

    fn command(&self, job: &Job<'_>) -> anyhow::Result<Command> {
        let tokens = job.load.tokens.to_string();
        let mut command = Command::new(&self.program);
        command
            .args(["profile", "--model", "raw", "--url", job.url, "--tokenizer"])
            .arg(job.tokenizer)
            .args(["--endpoint-type", "chat", "--streaming", "--ui-type", "none"])
            .args(["--concurrency", &job.load.streams.to_string()])
            .args(["--request-count", &job.load.requests.to_string()])
            .args(["--isl", "16", "--osl", &tokens, "--use-server-token-count"])
            .args(["--extra-inputs", "ignore_eos:true", "--no-gpu-telemetry"])
            .args(["--no-server-metrics", "--export-level", "records", "--artifact-dir"])
            .arg(job.folder.join("artifacts"));
        Ok(command)
    }

    fn reported(&self, job: &Job<'_>) -> anyhow::Result<Reported> {
        let lines: Vec<Line> = json_lines(&job.folder.join("artifacts/profile_export.jsonl"))?;
        Ok(Reported { requests: lines.into_iter().filter_map(seen).collect(), reads: None })
    }

    fn kind(&self) -> Kind {
        Kind::SlowPeer
    }
}

fn seen(line: Line) -> Option<Seen> {
    let metrics = line.metrics;
    Some(Seen {
        id: line.metadata.x_request_id,
        ttft_ms: metrics.time_to_first_token?.value,
        tpot_ms: metrics.inter_token_latency.map(|latency| latency.value),
        gaps_ms: metrics.inter_chunk_latency.map(|latency| latency.value).unwrap_or_default(),
        delay_ms: None,
    })
}
