use std::process::Command;

use serde::Deserialize;

use super::{Client, Job, Reported, Seen, json};

/// guidellm.
#[derive(Debug)]
pub(crate) struct Guidellm {
    pub(crate) program: String,
}

/// What it writes as JSON.
#[derive(Deserialize)]
struct Written {
    benchmarks: Vec<Benchmark>,
}

#[derive(Deserialize)]
struct Benchmark {
    requests: Requests,
}

#[derive(Deserialize)]
struct Requests {
    successful: Vec<Request>,
}

#[derive(Deserialize)]
struct Request {
    time_to_first_token_ms: Option<f64>,
    /// Mean of a request: over the tokens after the first.
    inter_token_latency_ms: Option<f64>,
}

impl Client for Guidellm {
    fn name(&self) -> &'static str {
        "guidellm"
    }

    fn command(&self, job: &Job<'_>) -> anyhow::Result<Command> {
        let tokens = job.load.tokens;
        let mut command = Command::new(&self.program);
        command
            .args(["benchmark", "run", "--target", job.url, "--model", "raw", "--processor"])
            .arg(job.tokenizer)
            .args(["--profile", "concurrent", "--rate", &job.load.streams.to_string()])
            .args(["--max-requests", &job.load.requests.to_string()])
            .args(["--data", &format!("prompt_tokens=16,output_tokens={tokens}")])
            .args(["--disable-console", "--outputs", "json", "--output-dir"])
            .arg(job.folder);
        Ok(command)
    }

    fn reported(&self, job: &Job<'_>) -> anyhow::Result<Reported> {
        let written: Written = json(&job.folder.join("benchmarks.json"))?;
        let requests = written.benchmarks.iter().flat_map(|one| &one.requests.successful);
        Ok(Reported { requests: requests.filter_map(seen).collect(), reads: None })
    }

    fn is_peer(&self) -> bool {
        true
    }
}

fn seen(request: &Request) -> Option<Seen> {
    Some(Seen {
        id: None,
        ttft_ms: request.time_to_first_token_ms?,
        tpot_ms: request.inter_token_latency_ms,
        ..Seen::default()
    })
}
