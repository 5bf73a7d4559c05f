use std::process::Command;

use serde::Deserialize;

use super::{Client, Job, Kind, Reported, Seen, json};

/// vLLM's client in Rust: `vllm-bench`, or `vllm-rs bench serve` of a vLLM wheel.
#[derive(Debug)]
pub(crate) struct VllmBench {
    /// The program and its first arguments.
    pub(crate) command: Vec<String>,
}

const PREFIX: &str = "bench-";

/// What it writes with `--save-detailed`, request by request. Times in seconds.
#[derive(Deserialize)]
struct Saved {
    ttfts: Vec<f64>,
    itls: Vec<Vec<f64>>,
    output_lens: Vec<u32>,
}

impl Client for VllmBench {
    fn name(&self) -> &'static str {
        "vllm-bench (Rust)"
    }

    fn command(&self, job: &Job<'_>) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .args(["--backend", "openai-chat", "--endpoint", "/v1/chat/completions"])
            .args(["--base-url", job.url, "--model", "raw", "--tokenizer"])
            .arg(job.tokenizer)
            .args(["--dataset-name", "random", "--random-input-len", "16", "--ignore-eos"])
            .args(["--random-output-len", &job.load.tokens.to_string()])
            .args(["--num-prompts", &job.load.requests.to_string()])
            .args(["--max-concurrency", &job.load.streams.to_string()])
            .args(["--ready-check-timeout-sec", "0", "--disable-tqdm"])
            .args(["--request-id-prefix", PREFIX, "--save-result", "--save-detailed"])
            .args(["--result-filename", "result.json", "--result-dir"])
            .arg(job.folder);
        Ok(command)
    }

    fn reported(&self, job: &Job<'_>) -> anyhow::Result<Reported> {
        Ok(Reported { requests: seen(json(&job.folder.join("result.json"))?), reads: None })
    }

    fn kind(&self) -> Kind {
        Kind::Peer
    }
}

fn seen(saved: Saved) -> Vec<Seen> {
    let requests = saved.ttfts.into_iter().zip(saved.itls).zip(saved.output_lens).enumerate();
    requests
        .map(|(index, ((ttft, gaps), tokens))| Seen {
            id: Some(format!("{PREFIX}{index}")),
            ttft_ms: ttft * 1e3,
            tpot_ms: (tokens > 1).then(|| gaps.iter().sum::<f64>() * 1e3 / f64::from(tokens - 1)),
            gaps_ms: gaps.into_iter().map(|gap| gap * 1e3).collect(),
            delay_ms: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Saved, seen};

    #[test]
    fn requests_are_named_by_their_place() {
        let saved = Saved {
            ttfts: vec![0.05, 0.06],
            itls: vec![vec![0.01, 0.03], vec![]],
            output_lens: vec![3, 1],
        };
        let seen = seen(saved);
        assert_eq!((seen[0].ttft_ms, seen[0].tpot_ms), (50.0, Some(20.0)));
        assert_eq!(seen[1].id.as_deref(), Some("bench-1"));
        assert_eq!(seen[1].tpot_ms, None);
    }
}
