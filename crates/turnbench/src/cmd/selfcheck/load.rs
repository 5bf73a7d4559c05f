use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use turnbench_metrics::{Capacity, LoadCheck, RunReport, SPARE_FILES, Speed};
use turnbench_model::Nanos;

use super::source::{MODEL, Source};
use crate::args::{OutputFormat, RunArgs};
use crate::cmd::file_limit;
use crate::cmd::run::{Measured, measured};
use crate::exit::Exit;

/// Longest time of a load at full speed.
const FULL_SPEED: Duration = Duration::from_secs(1);
/// Connections of a load at full speed.
const CONNECTIONS: u64 = 32;
/// Requests at full speed: more than any machine answers in that time would cost memory.
const REQUESTS_MAX: u64 = 40_000;
/// Events that arrive at a time at full speed.
const EVENTS_PER_WRITE: u32 = 16;
/// Tokens of an answer at full speed.
const BURST_TOKENS: u64 = 512;

/// Streams of the paced loads.
const STREAMS: [u64; 4] = [1, 32, 256, STREAMS_MAX];
const STREAMS_MAX: u64 = 1_024;
/// Tokens of each paced stream.
const PACED_TOKENS: u64 = 150;
/// Time to its first token.
const TTFT: Nanos = Nanos::from_millis(50);
/// Time from one token to the next.
const ITL: Nanos = Nanos::from_millis(10);

/// Measures the client against the built-in source.
pub(super) fn measure(missing: &mut Vec<String>) -> Result<(Speed, Vec<LoadCheck>), Exit> {
    let source = Source::at_full_speed(EVENTS_PER_WRITE)?;
    let one_token = Load { requests: REQUESTS_MAX, ..Load::full_speed(1) }.run(&source)?;
    let bursts = Load::full_speed(BURST_TOKENS).run(&source)?;
    source.stop()?;

    let source = Source::paced(TTFT, ITL)?;
    let (mut loads, mut heaviest) = (Vec::new(), None);
    let files = file_limit::allow(files_wanted(STREAMS_MAX));
    for streams in STREAMS {
        if files_wanted(streams) > files {
            missing
                .push(format!("{streams} streams: {files} open files are too few for both ends"));
            continue;
        }
        let paced = Load::paced(streams).run(&source)?;
        loads.push(load_check(streams, &paced.report));
        heaviest = Some((streams, paced));
    }
    let (streams, mut heaviest) =
        heaviest.context(format!("{files} open files are too few for any load"))?;
    // Near its limit a thread finds several events ready at a time, and the limit is what the cost
    // of an event is wanted for: many threads share the same load without getting there.
    if heaviest.report.plan.client.threads > 1 {
        heaviest = Load { threads: Some(1), ..Load::paced(streams) }.run(&source)?;
    }
    source.stop()?;

    let cpu_ns_per_request = per(cpu_ns(&one_token), requests(&one_token.report));
    let for_requests = cpu_ns_per_request * requests(&heaviest.report);
    let for_events = (cpu_ns(&heaviest) - for_requests).max(0.0);
    let cpu_ns_per_event = per(for_events, events(&heaviest.report));
    let speed = Speed {
        requests_per_sec: rate(&one_token.report, requests(&one_token.report)),
        events_per_sec: rate(&bursts.report, events(&bursts.report)),
        capacity: Capacity { cpu_ns_per_event, cpu_ns_per_request },
    };
    Ok((speed, loads))
}

/// One load against the source.
#[derive(Clone, Copy)]
struct Load {
    /// Clients, each on its own connection.
    connections: u64,
    requests: u64,
    /// Tokens of each answer.
    tokens: u64,
    /// `--threads`; `None`: as a run has them.
    threads: Option<u32>,
    /// When to send nothing more.
    at_most: Option<Duration>,
}

impl Load {
    /// One thread, as fast as it goes.
    fn full_speed(tokens: u64) -> Self {
        Self {
            connections: CONNECTIONS,
            requests: REQUESTS_MAX / tokens.isqrt(),
            tokens,
            threads: Some(1),
            at_most: Some(FULL_SPEED),
        }
    }

    /// Streams that start together.
    const fn paced(streams: u64) -> Self {
        Self {
            connections: streams,
            requests: streams,
            tokens: PACED_TOKENS,
            threads: None,
            at_most: None,
        }
    }

    fn run(self, source: &Source) -> Result<Measured, Exit> {
        let mut input = tempfile::NamedTempFile::with_suffix(".json")?;
        let conversation = |index| {
            let question = json!({"role": "user", "content": "How far can you count?"});
            json!({"id": format!("c{index}"), "messages": [question]})
        };
        let conversations: Vec<_> = (0..self.requests).map(conversation).collect();
        input.write_all(&serde_json::to_vec(&conversations)?)?;
        let arguments = self.arguments(source, &input.path().display().to_string())?;
        measured(&arguments, self.at_most)
    }

    /// The load is an ordinary run, typed for the user.
    fn arguments(self, source: &Source, input: &str) -> anyhow::Result<RunArgs> {
        let mut line = Vec::new();
        let mut push = |flag: &str, value: &str| line.extend([flag.to_owned(), value.to_owned()]);
        push("--url", &source.url());
        push("--model", MODEL);
        push("--tokenizer", "none");
        push("--input-file", input);
        push("--num-clients", &self.connections.to_string());
        push("--limit-min-tokens", &self.tokens.to_string());
        push("--limit-max-tokens", &self.tokens.to_string());
        push("--run-dir", "none");
        if let Some(threads) = self.threads {
            push("--threads", &threads.to_string());
        }
        let mut arguments = RunArgs::typed(line)?;
        // Nothing about the workload is printed then.
        arguments.format = OutputFormat::Json;
        Ok(arguments)
    }
}

/// Files for both ends of each stream, and the others.
const fn files_wanted(streams: u64) -> u64 {
    2 * streams + SPARE_FILES
}

fn load_check(streams: u64, report: &RunReport) -> LoadCheck {
    let client = &report.client;
    LoadCheck {
        streams,
        streams_peak: client.concurrency_peak,
        threads: report.plan.client.threads,
        kernel_stamped_ratio: client.kernel_stamped_ratio,
        client_delay_ms: client.client_delay_ms.clone(),
        held_back_ms: client.held_back_ms.clone(),
        thread_busy_ratio: client.thread_busy_ratio,
    }
}

/// CPU time of the client's threads.
fn cpu_ns(run: &Measured) -> f64 {
    let threads = run.facts.shards.iter().filter_map(|shard| shard.cpu_ns);
    threads.map(|Nanos(cpu)| cpu as f64).sum()
}

fn requests(report: &RunReport) -> f64 {
    report.counts.requests.completed as f64
}

/// Events with output text: one a token.
fn events(report: &RunReport) -> f64 {
    let tokens = report.metric("completion_tokens");
    tokens.and_then(|tokens| Some(tokens.mean? * tokens.count as f64)).unwrap_or(0.0)
}

fn rate(report: &RunReport, count: f64) -> f64 {
    per(count, report.throughput.span_sec.unwrap_or(0.0))
}

fn per(amount: f64, of: f64) -> f64 {
    if of > 0.0 { amount / of } else { 0.0 }
}
