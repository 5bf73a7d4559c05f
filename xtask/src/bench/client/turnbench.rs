use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use turnbench_metrics::RequestRow;
use turnbench_model::{Nanos, RequestRecord};

use super::{Client, Job, Reported, Seen, json, json_lines};

const STATS: &str = "stats.json";

/// What is read of a record where no request is looked at.
#[derive(Deserialize)]
struct Reads {
    reads_count: u32,
}

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
        if job.details {
            command.arg("--stats-json-output").arg(job.folder.join(STATS));
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
        let records = job.folder.join("run/records.jsonl");
        let reads: Vec<Reads> = json_lines(&records)?;
        let requests = if job.details {
            seen(json(&job.folder.join(STATS))?, &json_lines(&records)?)
        } else {
            Vec::new()
        };
        Ok(Reported {
            reads: Some(reads.iter().map(|record| u64::from(record.reads_count)).sum()),
            requests,
        })
    }
}

/// What turnbench itself reports of each request: `--stats-json-output`. It gives no time between two
/// tokens, only what requests have of them, so these are taken from the records.
fn seen(rows: Vec<RequestRow>, records: &[RequestRecord]) -> Vec<Seen> {
    let gap_ms = |pair: &[Nanos]| pair[1].since(pair[0]).as_millis_f64();
    let of = |record: &'_ RequestRecord| -> Vec<f64> {
        record.answer.chunks_ns.windows(2).map(gap_ms).collect()
    };
    let gaps: BTreeMap<&str, Vec<f64>> =
        records.iter().map(|record| (&*record.conversation_id, of(record))).collect();
    let seen = |row: RequestRow| {
        Some(Seen {
            id: Some(row.conversation_id.to_string()),
            ttft_ms: row.ttft_ms?,
            tpot_ms: row.tpot_ms.filter(|_| row.output_num_chunks > 0),
            gaps_ms: gaps.get(&*row.conversation_id).cloned().unwrap_or_default(),
            delay_ms: row.first_token_delay_ms,
        })
    };
    rows.into_iter().filter_map(seen).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::seen;

    #[test]
    fn figures_are_those_that_turnbench_reports() {
        let row = json!({
            "ttft_ms": 51.5, "tpot_ms": 10.25, "latency_ms": 72.0, "start_time_ms": 0.0,
            "input_num_turns": 1, "output_num_tokens": 3, "output_num_chunks": 2,
            "conversation_id": "c7", "client_id": 0, "turn": 1, "attempt": 1, "phase": "main",
            "ttft_corrected": false, "send_lateness_ms": 0.0, "first_token_delay_ms": 0.5,
            "request_bytes": 100
        });
        let first = json!({ "conversation_id": "c7", "output_num_chunks": 0 });
        let mut single = row.clone();
        single.as_object_mut().unwrap().extend(first.as_object().unwrap().clone());
        let rows = serde_json::from_value(json!([row, single])).unwrap();
        let seen = seen(rows, &[]);
        assert_eq!(
            (seen[0].ttft_ms, seen[0].tpot_ms, seen[0].delay_ms),
            (51.5, Some(10.25), Some(0.5))
        );
        assert_eq!(seen[0].id.as_deref(), Some("c7"));
        assert_eq!(seen[1].tpot_ms, None, "one token has no time a token");
    }
}
