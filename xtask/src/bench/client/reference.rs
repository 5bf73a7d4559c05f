use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use super::{Client, Job, Kind, Reported, Seen, json};

/// vLLM's `benchmark_serving_multi_turn.py`.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) python: String,
    pub(crate) script: PathBuf,
}

/// The script's name.
pub(crate) const SCRIPT: &str = "benchmark_serving_multi_turn.py";

/// Stands in for the one thing that the script takes from the vllm package, where that is not
/// installed.
const STAND_IN: &str = "\
import argparse


def redact_sensitive_namespace(args, fields):
    shown = {key: '***' if key in fields and value else value for key, value in vars(args).items()}
    return argparse.Namespace(**shown)
";

/// A row of its statistics.
#[derive(Deserialize)]
struct Row {
    conversation_id: String,
    ttft_ms: f64,
    tpot_ms: f64,
    latency_ms: f64,
    output_num_chunks: u32,
    output_num_first_chunk_tokens: u32,
}

impl Client for Reference {
    fn name(&self) -> &'static str {
        "reference script"
    }

    fn command(&self, job: &Job<'_>) -> anyhow::Result<Command> {
        let tokens = job.load.tokens.to_string();
        let mut command = Command::new(&self.python);
        command
            .arg(&self.script)
            .args(["--url", job.url, "--served-model-name", "raw", "--model"])
            .arg(job.tokenizer)
            .args(["--num-clients", &job.load.streams.to_string()])
            .args(["--limit-min-tokens", &tokens, "--limit-max-tokens", &tokens])
            .args(["--no-early-stop", "--send-conversation-id", "--input-file"])
            .arg(job.conversations)
            .arg("--stats-json-output")
            .arg(job.folder.join("stats.json"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        if !has_vllm(&self.python) {
            command.env("PYTHONPATH", stand_in(job.folder)?);
        }
        Ok(command)
    }

    fn reported(&self, job: &Job<'_>) -> anyhow::Result<Reported> {
        let rows: Vec<Row> = json(&job.folder.join("stats.json"))?;
        Ok(Reported { requests: rows.into_iter().map(seen).collect(), reads: None })
    }

    fn kind(&self) -> Kind {
        Kind::SlowPeer
    }
}

fn has_vllm(python: &str) -> bool {
    let find = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)";
    Command::new(python).args(["-c", find]).status().is_ok_and(|status| status.success())
}

/// Makes the stand-in; returns where Python finds it.
fn stand_in(folder: &Path) -> anyhow::Result<PathBuf> {
    let root = folder.join("stand_in");
    let package = root.join("vllm/benchmarks/lib");
    fs::create_dir_all(&package).context("stand-in for vllm")?;
    for folder in package.ancestors().take(3) {
        fs::write(folder.join("__init__.py"), "")?;
    }
    fs::write(package.join("utils.py"), STAND_IN)?;
    Ok(root)
}

/// The script lowers TTFT where its tokenizer finds several tokens in the first event, and divides by
/// the tokens it counts: both are taken back, as an event of the source is one token.
fn seen(row: Row) -> Seen {
    let more_tokens = row.output_num_first_chunk_tokens.saturating_sub(1);
    let ttft_ms = row.ttft_ms + f64::from(more_tokens) * row.tpot_ms;
    let later = f64::from(row.output_num_chunks);
    Seen {
        id: Some(row.conversation_id),
        ttft_ms,
        tpot_ms: (later > 0.0).then(|| (row.latency_ms - ttft_ms) / later),
        ..Seen::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, seen};

    #[test]
    fn an_event_is_one_token_whatever_the_tokenizer_finds() {
        let seen = seen(Row {
            conversation_id: "c".into(),
            ttft_ms: 45.0,
            tpot_ms: 5.0,
            latency_ms: 90.0,
            output_num_chunks: 4,
            output_num_first_chunk_tokens: 2,
        });
        assert_eq!((seen.ttft_ms, seen.tpot_ms), (50.0, Some(10.0)));
    }
}
