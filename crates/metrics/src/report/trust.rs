use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::{Nanos, Plan, RequestRecord, ShardFacts, StampSource};

use super::concurrency::InFlight;
use super::shared_stamp::SharedStamp;
use crate::row::{event_delays, first_token_delay};
use crate::{Describe, Environment, NanosSamples, RequestRow, RunFacts};

/// Percentiles of the client's own numbers, whatever the number of samples.
const PERCENTS: [f64; 3] = [50.0, 90.0, 99.0];

/// Threads that ran for less are not judged: starting up is most of what they did.
const THREAD_WALL_MIN: Nanos = Nanos::from_millis(500);

/// What the client itself may have added to the numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClientTrust {
    /// Attempts that were sent.
    pub attempts: u64,
    /// Requests that were to be in flight at a time: `num_clients`, or fewer where there are fewer
    /// conversations or requests.
    pub concurrency_asked: u64,
    /// Requests in flight on average over the whole span; `None` when nothing was sent.
    pub concurrency_mean: Option<f64>,
    /// Most requests in flight at a time.
    pub concurrency_peak: u64,
    /// Share (0..1) of the clients' time, from the run's first send to each one's last answer, in
    /// which a request of theirs was in flight.
    pub in_flight_ratio: Option<f64>,
    /// `sent - intended`, over all attempts that were sent.
    pub send_lateness_ms: Describe,
    /// `send_lateness_ms` without the time that a new connection took.
    pub held_back_ms: Describe,
    /// `built - intended`: until the client had come to the request and its body was ready.
    pub body_ready_ms: Describe,
    /// Time between the kernel's receipt of the first token and its read, over all first tokens of
    /// completed requests that the kernel stamped.
    pub first_token_delay_ms: Describe,
    /// Time between the kernel's receipt of an event's bytes and their read, over all events with
    /// output text of completed requests that the kernel stamped.
    pub client_delay_ms: Describe,
    /// First tokens of streamed answers, the whole of others, over all attempts.
    pub first_tokens: u64,
    /// Those that the kernel stamped and that came in one read with the next token, so that they have
    /// the stamp of a later segment, or may have.
    pub shared_first_tokens: u64,
    /// Those of them whose answer has no later token, so that nothing tells how long they waited.
    pub unpaced_first_tokens: u64,
    /// By how much TTFT is too large because of a shared stamp, by the pace of the rest of the answer:
    /// 0 for first tokens with a stamp of their own; those of `unpaced_first_tokens` are not in it.
    pub shared_stamp_excess_ms: Describe,
    /// Share (0..1) of first tokens that the kernel stamped; `None` without a first token.
    pub kernel_stamped_ratio: Option<f64>,
    /// CPU time of the busiest thread of the client, without what it spent on looking at the clock
    /// for the moment to send, as a share (0..1) of the time that it ran.
    pub thread_busy_ratio: Option<f64>,
    /// The same of all the client's threads, as a share (0..1) of the cores that they can run on at a
    /// time: one each, as far as there are so many.
    pub cores_busy_ratio: Option<f64>,
    /// How late the timers of the client's event loops were.
    pub loop_lag_ms: Describe,
    /// The latest of them, also of those that a long run no longer lists and that are not in
    /// `loop_lag_ms`; `None` when none was set.
    pub loop_lag_max_ms: Option<f64>,
    /// Records that had to wait because the recorder's channel was full.
    pub record_waits: u64,
    /// Share of what this machine can carry, by its `turnbench selfcheck`; `None` without one.
    pub capacity_ratio: Option<f64>,
    /// The client's TTFT minus the server's own, where the server reports its times.
    pub server_gap_ms: Describe,
}

/// Takes in attempts one by one.
#[derive(Debug, Default)]
pub(super) struct TrustBuilder {
    in_flight: InFlight,
    lateness: NanosSamples,
    held_back: NanosSamples,
    body_ready: NanosSamples,
    first_token_delays: NanosSamples,
    event_delays: NanosSamples,
    first_tokens: u64,
    kernel_stamped: u64,
    shared_first_tokens: u64,
    unpaced_first_tokens: u64,
    excesses: NanosSamples,
    /// TTFT of completed requests whose first token has a stamp of its own.
    unshared_ttfts: NanosSamples,
    /// Of the others, without what the stamp has added.
    corrected_ttfts: NanosSamples,
    events: u64,
}

/// What the records do not tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) plan: &'a Plan,
    pub(super) facts: &'a RunFacts,
    pub(super) environment: &'a Environment,
    /// The true span of the run.
    pub(super) span_sec: Option<f64>,
}

impl TrustBuilder {
    pub(super) fn add(&mut self, record: &RequestRecord) {
        self.in_flight.add(record);
        let stamps = &record.stamps;
        if let Some(sent) = stamps.sent_ns {
            let lateness = sent.since(stamps.intended_ns);
            let connecting = stamps.connect_ns.zip(stamps.connected_ns);
            let connecting = connecting.map_or(Nanos::ZERO, |(from, to)| to.since(from));
            self.lateness.add(lateness);
            self.held_back.add(lateness.since(connecting));
        }
        if let Some(built) = stamps.built_ns {
            self.body_ready.add(built.since(stamps.intended_ns));
        }
        if let Some(first) = stamps.first_token {
            self.first_tokens += 1;
            self.kernel_stamped += u64::from(first.source == StampSource::Kernel);
            let sent = stamps.sent_ns.filter(|_| record.outcome.is_completed());
            let ttft = sent.map(|sent| first.at_ns.since(sent));
            let shared = SharedStamp::of(record);
            self.shared_first_tokens += u64::from(shared.is_some());
            match shared {
                None => {
                    self.excesses.add(Nanos::ZERO);
                    self.unshared_ttfts.extend(ttft);
                }
                Some(SharedStamp { excess: Some(excess) }) => {
                    self.excesses.add(excess);
                    self.corrected_ttfts.extend(ttft.map(|ttft| ttft.since(excess)));
                }
                Some(SharedStamp { excess: None }) => self.unpaced_first_tokens += 1,
            }
        }
        self.events += record.answer.chunks_ns.len() as u64;
        if record.outcome.is_completed() {
            if let Some(delay) = first_token_delay(stamps) {
                self.first_token_delays.add(delay);
            }
            self.event_delays.extend(event_delays(&record.answer));
        }
    }

    /// One delay for each event of the completed requests.
    pub(super) fn event_delays(&mut self) -> &mut NanosSamples {
        &mut self.event_delays
    }

    /// Median TTFT of the completed requests whose first token has a stamp of its own, in ms; where none
    /// has, of the others without what the stamp has added. `None` without any of them.
    pub(super) fn unshared_ttft_p50_ms(&mut self) -> Option<f64> {
        let median = |ttfts: &mut NanosSamples| ttfts.describe_ms(&[50.0]).percentile(50.0);
        median(&mut self.unshared_ttfts).or_else(|| median(&mut self.corrected_ttfts))
    }

    pub(super) fn finish(&mut self, around: Surroundings<'_>, rows: &[RequestRow]) -> ClientTrust {
        let Surroundings { plan, facts, environment, span_sec } = around;
        let attempts = self.lateness.count();
        let threads = plan.client.threads;
        let cores = environment.cpu_cores.map_or(threads, |cores| cores.min(threads)).max(1);
        let capacity = environment.capacity.zip(span_sec);
        let capacity_ratio = capacity.and_then(|(capacity, span_sec)| {
            capacity.used_ratio(attempts, self.events, span_sec, cores)
        });
        let concurrency = self.in_flight.concurrency(plan, facts);
        let mut lags = NanosSamples::default();
        for lag in facts.shards.iter().flat_map(|shard| &shard.loop_lags_ns) {
            lags.add(*lag);
        }
        let lag_max = facts.shards.iter().map(|shard| shard.loop_lag_max_ns).max();
        let gaps: Vec<f64> = rows.iter().filter_map(|row| row.server_gap_ms).collect();
        ClientTrust {
            attempts,
            concurrency_asked: concurrency.asked,
            concurrency_mean: concurrency.mean,
            concurrency_peak: concurrency.peak,
            in_flight_ratio: concurrency.in_flight_ratio,
            send_lateness_ms: self.lateness.describe_ms(&PERCENTS),
            held_back_ms: self.held_back.describe_ms(&PERCENTS),
            body_ready_ms: self.body_ready.describe_ms(&PERCENTS),
            first_token_delay_ms: self.first_token_delays.describe_ms(&PERCENTS),
            client_delay_ms: self.event_delays.describe_ms(&PERCENTS),
            first_tokens: self.first_tokens,
            shared_first_tokens: self.shared_first_tokens,
            unpaced_first_tokens: self.unpaced_first_tokens,
            shared_stamp_excess_ms: self.excesses.describe_ms(&PERCENTS),
            kernel_stamped_ratio: (self.first_tokens > 0)
                .then(|| self.kernel_stamped as f64 / self.first_tokens as f64),
            thread_busy_ratio: thread_busy_ratio(facts),
            cores_busy_ratio: cores_busy_ratio(facts, cores),
            loop_lag_ms: lags.describe_ms(&PERCENTS),
            loop_lag_max_ms: lag_max.filter(|_| lags.count() > 0).map(Nanos::as_millis_f64),
            record_waits: facts.record_waits,
            capacity_ratio,
            server_gap_ms: Describe::of_all(&gaps, &PERCENTS),
        }
    }
}

/// A thread's CPU time without what it spent on waiting for the moment to send.
fn worked(shard: &ShardFacts) -> Option<Nanos> {
    Some(shard.cpu_ns?.since(shard.spun_ns))
}

fn thread_busy_ratio(facts: &RunFacts) -> Option<f64> {
    let long_enough = facts.shards.iter().filter(|shard| shard.wall_ns >= THREAD_WALL_MIN);
    let busy = long_enough
        .filter_map(|shard| Some(worked(shard)?.0 as f64 / shard.wall_ns.0 as f64))
        .map(|ratio| ratio.min(1.0));
    busy.max_by(f64::total_cmp)
}

/// `None` unless every thread's CPU time is known, and one ran for long enough.
fn cores_busy_ratio(facts: &RunFacts, cores: u32) -> Option<f64> {
    let wall = facts.shards.iter().map(|shard| shard.wall_ns).max()?;
    let cpu_ns: Option<u64> = facts.shards.iter().map(|shard| Some(worked(shard)?.0)).sum();
    let there_ns = wall.0 as f64 * f64::from(cores);
    cpu_ns.filter(|_| wall >= THREAD_WALL_MIN).map(|cpu_ns| (cpu_ns as f64 / there_ns).min(1.0))
}
