use std::path::{Path, PathBuf};
use std::process::Command;

use turnbench_model::{Nanos, Outcome, RequestRecord};

use super::{Client, Job, Reported, Seen, json_lines};

/// `turnbench run`, with one thread and no tokenizer.
#[derive(Debug)]
pub(crate) struct Turnbench {
    name: &'static str,
    program: PathBuf,
    /// Whether it keeps records. Without them it reports no single request.
    records: bool,
    /// Whether all connections stand before the first request.
    warm: bool,
}

impl Turnbench {
    pub(crate) fn new(program: &Path) -> Self {
        Self { name: "turnbench", program: program.to_owned(), records: true, warm: false }
    }

    pub(crate) fn without_records(program: &Path) -> Self {
        Self { name: "turnbench --run-dir none", records: false, ..Self::new(program) }
    }

    pub(crate) fn warm(program: &Path) -> Self {
        Self { name: "turnbench --connections-warm", warm: true, ..Self::new(program) }
    }
}

impl Client for Turnbench {
    fn name(&self) -> &str {
        self.name
    }

    fn command(&self, job: &Job<'_>) -> anyhow::Result<Command> {
        let tokens = job.load.tokens.to_string();
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--model", "raw", "--tokenizer", "none", "--threads", "1"])
            .args(["--url", job.url, "--send-conversation-id", "--input-file"])
            .arg(job.conversations)
            .args(["--num-clients", &job.load.streams.to_string()])
            .args(["--limit-min-tokens", &tokens, "--limit-max-tokens", &tokens, "--run-dir"]);
        if self.records {
            command.arg(job.folder.join("run"));
        } else {
            command.arg("none");
        }
        if self.warm {
            command.arg("--connections-warm");
        }
        Ok(command)
    }

    fn reported(&self, job: &Job<'_>) -> anyhow::Result<Reported> {
        if !self.records {
            return Ok(Reported::default());
        }
        let records: Vec<RequestRecord> = json_lines(&job.folder.join("run/records.jsonl"))?;
        Ok(Reported {
            reads: Some(records.iter().map(|record| u64::from(record.reads_count)).sum()),
            requests: records.iter().filter_map(seen).collect(),
        })
    }
}

/// The times that reports are made of; `None` of a request that did not complete.
fn seen(record: &RequestRecord) -> Option<Seen> {
    if record.outcome != Outcome::Completed {
        return None;
    }
    let stamps = &record.stamps;
    let first = stamps.first_token?;
    let gaps_ms = record.answer.chunks_ns.windows(2).map(|pair| millis(pair[0], pair[1])).collect();
    let later_tokens = record.usage.as_ref()?.completion_tokens?.checked_sub(1)?;
    let tpot_ms = (later_tokens > 0)
        .then(|| Some(millis(first.at_ns, stamps.end?.at_ns) / later_tokens as f64))
        .flatten();
    Some(Seen {
        id: Some(record.conversation_id.to_string()),
        ttft_ms: millis(stamps.sent_ns?, first.at_ns),
        tpot_ms,
        gaps_ms,
        delay_ms: Some(millis(first.at_ns, first.read_ns)),
    })
}

fn millis(from: Nanos, to: Nanos) -> f64 {
    (to.0 as f64 - from.0 as f64) / 1e6
}
