use std::process::Command;

use serde::Deserialize;

use super::{Client, Job, Kind, Reported, Seen, json};

/// guidellm, with the command line it has since 0.8.
#[derive(Debug)]
pub(crate) struct Guidellm {
    pub(crate) program: String,
}

const REPORT: &str = "guidellm.json";

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
    /// The answer's id.
    response_id: Option<String>,
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
            .args(["run", "--disable-console", "--backend"])
            .arg(format!("kind=openai_http,target={},model=raw", job.url))
            .arg("--tokenizer")
            .arg(format!("kind=huggingface_auto,model={}", job.tokenizer.display()))
            .args(["--profile", &format!("kind=concurrent,streams={}", job.load.streams)])
            .args(["--constraint", &format!("kind=max_requests,count={}", job.load.requests)])
            .arg("--data")
            .arg(format!("kind=synthetic_text,prompt_tokens=16,output_tokens={tokens}"))
            .arg("--output")
            .arg(format!("kind=json,path={}", job.folder.join(REPORT).display()));
        Ok(command)
    }

    fn reported(&self, job: &Job<'_>) -> anyhow::Result<Reported> {
        let written: Written = json(&job.folder.join(REPORT))?;
        let requests = written.benchmarks.iter().flat_map(|one| &one.requests.successful);
        Ok(Reported { requests: requests.filter_map(seen).collect(), reads: None })
    }

    fn kind(&self) -> Kind {
        Kind::SlowPeer
    }
}

fn seen(request: &Request) -> Option<Seen> {
    Some(Seen {
        id: request.response_id.clone(),
        ttft_ms: request.time_to_first_token_ms?,
        tpot_ms: request.inter_token_latency_ms,
        ..Seen::default()
    })
}
