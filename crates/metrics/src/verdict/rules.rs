//! One function for each reason: `None` where there is nothing to say.

use super::thresholds::{
    CAPACITY_RATIO, EVENT_DELAY, FAILED_RATIO, FIRST_TOKEN_DELAY, HELD_BACK, IDLE_RATIO,
    KERNEL_STAMPED_RATIO, LOOP_LAG_KERNEL, LOOP_LAG_USER, Limits, RECORD_WAIT_RATIO, REQUESTS_MIN,
    SERVER_GAP, STALL, TAIL_SAMPLES, THREAD_BUSY_RATIO, UNFINISHED_RATIO,
};
use super::{Evidence, Level, Reason, ReasonId};
use crate::Describe;

/// A reason, where the evidence gives one.
pub(super) type Rule = fn(&Evidence<'_>) -> Option<Reason>;

/// Every rule.
pub(super) const RULES: &[Rule] = &[
    concurrency,
    send_lateness,
    cpu_busy,
    loop_lag,
    stall,
    first_token_delay,
    event_delay,
    capacity,
    record_waits,
    user_stamps,
    server_gap,
    few_requests,
    failed_requests,
    cut_requests,
    unfinished_conversations,
    interrupted,
];

/// What was measured, and the limit that it is beyond.
struct Finding {
    level: Level,
    value: f64,
    threshold: f64,
}

impl Finding {
    /// Holds a value against its limits.
    fn of(value: f64, limits: Limits) -> Option<Self> {
        if value > limits.limited {
            Some(Self { level: Level::ClientLimited, value, threshold: limits.limited })
        } else {
            Self::caution(value, limits.caution)
        }
    }

    /// A value that is worth a caution at most.
    fn caution(value: f64, threshold: f64) -> Option<Self> {
        (value > threshold).then_some(Self { level: Level::Caution, value, threshold })
    }

    fn reason(self, id: ReasonId, unit: &str, text: String) -> Reason {
        let Self { level, value, threshold } = self;
        let touches = id.touches().iter().map(|&touched| touched.to_owned()).collect();
        Reason { id, level, text, value, threshold, unit: unit.to_owned(), touches }
    }
}

fn concurrency(evidence: &Evidence<'_>) -> Option<Reason> {
    // Pauses that were asked for are no fault: after each answer, and before a retry.
    let pauses = evidence.plan.load.request_rate > 0.0 || evidence.counts.requests.retries > 0;
    let client = evidence.client;
    let idle = 1.0 - client.in_flight_ratio.filter(|_| !pauses)?;
    let finding = Finding::of(idle, IDLE_RATIO)?;
    let text = format!(
        "clients had no request in flight for {} of their time (limit {}): {:.1} of {} requests \
         were in flight on average, {} at most",
        share(idle),
        share(finding.threshold),
        client.concurrency_mean.unwrap_or(0.0),
        client.concurrency_asked,
        client.concurrency_peak,
    );
    Some(finding.reason(ReasonId::Concurrency, "0..1", text))
}

fn send_lateness(evidence: &Evidence<'_>) -> Option<Reason> {
    let (late, percentile) = tail(&evidence.client.held_back_ms)?;
    let finding = Finding::of(late, HELD_BACK.against(evidence.response_ms()))?;
    let built = tail(&evidence.client.body_ready_ms);
    let built = built.map_or_else(String::new, |(built, percentile)| {
        format!("; bodies were ready after {} ({percentile})", millis(built))
    });
    let text = format!(
        "requests left {} after they were due ({percentile}, new connections not counted; limit {}, \
         against {}){built}",
        millis(late),
        millis(finding.threshold),
        evidence.response_text(),
    );
    Some(finding.reason(ReasonId::SendLateness, "ms", text))
}

fn cpu_busy(evidence: &Evidence<'_>) -> Option<Reason> {
    let busy = evidence.client.thread_busy_ratio?;
    let finding = Finding::of(busy, THREAD_BUSY_RATIO)?;
    let text = format!(
        "the client's busiest thread used {} of its core (limit {}; --threads {})",
        share(busy),
        share(finding.threshold),
        evidence.plan.client.threads,
    );
    Some(finding.reason(ReasonId::CpuBusy, "0..1", text))
}

fn loop_lag(evidence: &Evidence<'_>) -> Option<Reason> {
    let (lag, percentile) = tail(&evidence.client.loop_lag_ms)?;
    let kernel = evidence.kernel_stamps();
    let (limits, against) = if kernel {
        (LOOP_LAG_KERNEL.against(evidence.response_ms()), evidence.response_text())
    } else {
        match evidence.itl_p50_ms {
            Some(itl) => (LOOP_LAG_USER.against(itl), format!("a median ITL of {}", millis(itl))),
            None => (LOOP_LAG_USER.against(evidence.response_ms()), evidence.response_text()),
        }
    };
    let finding = Finding::of(lag, limits)?;
    let stamps = if kernel { "" } else { ", and its own stamps as late" };
    let text = format!(
        "the client came {} late to what was due ({percentile}; limit {}, against {against}){stamps}",
        millis(lag),
        millis(finding.threshold),
    );
    let mut reason = finding.reason(ReasonId::LoopLag, "ms", text);
    if !kernel {
        reason.touches.extend(ReasonId::UserStamps.touches().iter().map(|&id| id.to_owned()));
    }
    Some(reason)
}

fn stall(evidence: &Evidence<'_>) -> Option<Reason> {
    let lag = evidence.client.loop_lag_max_ms?;
    let limits = STALL.against(evidence.response_ms());
    let finding = Finding::caution(lag, limits.caution)?;
    let text = format!(
        "a thread of the client stood still for {} at worst (limit {})",
        millis(lag),
        millis(finding.threshold),
    );
    Some(finding.reason(ReasonId::Stall, "ms", text))
}

fn first_token_delay(evidence: &Evidence<'_>) -> Option<Reason> {
    let (delay, percentile) = tail(&evidence.client.first_token_delay_ms)?;
    let limits = FIRST_TOKEN_DELAY.against(evidence.response_ms());
    let finding = Finding::caution(delay, limits.caution)?;
    let text = format!(
        "first tokens were read {} after their arrival ({percentile}; limit {}, against {}): the kernel's \
         stamps keep that out of TTFT, but the client is near its limit",
        millis(delay),
        millis(finding.threshold),
        evidence.response_text(),
    );
    Some(finding.reason(ReasonId::FirstTokenDelay, "ms", text))
}

fn event_delay(evidence: &Evidence<'_>) -> Option<Reason> {
    let (delay, percentile) = tail(&evidence.client.client_delay_ms)?;
    let itl = evidence.itl_p50_ms?;
    let finding = Finding::caution(delay, EVENT_DELAY.against(itl).caution)?;
    let text = format!(
        "events were read {} after their arrival ({percentile}; limit {}, against a median ITL of {}), so \
         that several waited at a time",
        millis(delay),
        millis(finding.threshold),
        millis(itl),
    );
    Some(finding.reason(ReasonId::EventDelay, "ms", text))
}

fn capacity(evidence: &Evidence<'_>) -> Option<Reason> {
    let used = evidence.client.capacity_ratio?;
    let finding = Finding::of(used, CAPACITY_RATIO)?;
    let text = format!(
        "the run took {} of what this machine carried in turnbench selfcheck (limit {})",
        share(used),
        share(finding.threshold),
    );
    Some(finding.reason(ReasonId::Capacity, "0..1", text))
}

fn record_waits(evidence: &Evidence<'_>) -> Option<Reason> {
    let client = evidence.client;
    let waits = ratio(client.record_waits, client.attempts)?;
    let finding = Finding::of(waits, RECORD_WAIT_RATIO)?;
    let text = format!(
        "{} of {} records had to wait for the disk, and the client's threads with them",
        client.record_waits, client.attempts,
    );
    Some(finding.reason(ReasonId::RecordWaits, "0..1", text))
}

fn user_stamps(evidence: &Evidence<'_>) -> Option<Reason> {
    let stamped = evidence.client.kernel_stamped_ratio?;
    (stamped < KERNEL_STAMPED_RATIO).then(|| {
        let text = format!(
            "the kernel stamped {} of the first tokens (at least {} are wanted); the others \
             contain the client's own delay, which nobody measured",
            share(stamped),
            share(KERNEL_STAMPED_RATIO),
        );
        Finding { level: Level::Caution, value: stamped, threshold: KERNEL_STAMPED_RATIO }.reason(
            ReasonId::UserStamps,
            "0..1",
            text,
        )
    })
}

fn server_gap(evidence: &Evidence<'_>) -> Option<Reason> {
    let gap = evidence.client.server_gap_ms.percentile(50.0)?;
    let limits = SERVER_GAP.against(evidence.response_ms());
    let finding = Finding::caution(gap, limits.caution)?;
    // What the kernel stamped holds none of the client's delay; else its lag bounds it.
    let is_clients = !evidence.kernel_stamps()
        && tail(&evidence.client.loop_lag_ms).is_none_or(|(lag, _)| lag > gap / 2.0);
    let whose = if is_clients {
        "the client's own delay may be part of it"
    } else {
        "that is the network, a proxy or the server's HTTP front, not the client"
    };
    let text = format!(
        "TTFT is {} longer than the server's own account of it (median; limit {}, against {}): \
         {whose}",
        millis(gap),
        millis(finding.threshold),
        evidence.response_text(),
    );
    Some(finding.reason(ReasonId::ServerGap, "ms", text))
}

fn few_requests(evidence: &Evidence<'_>) -> Option<Reason> {
    let completed = evidence.counts.requests.completed;
    (completed < REQUESTS_MIN).then(|| {
        let noun = if completed == 1 { "request" } else { "requests" };
        let text = format!(
            "{completed} {noun} completed; below {REQUESTS_MIN} there is no p99, and the other \
             percentiles are rough"
        );
        let (value, threshold) = (completed as f64, REQUESTS_MIN as f64);
        Finding { level: Level::Caution, value, threshold }.reason(ReasonId::FewRequests, "", text)
    })
}

fn failed_requests(evidence: &Evidence<'_>) -> Option<Reason> {
    let requests = evidence.counts.requests;
    let failed = ratio(requests.failed, requests.failed + requests.completed)?;
    let finding = Finding::caution(failed, FAILED_RATIO)?;
    let text = format!(
        "{} of {} requests failed and are in no percentile",
        requests.failed,
        requests.failed + requests.completed,
    );
    Some(finding.reason(ReasonId::FailedRequests, "0..1", text))
}

fn cut_requests(evidence: &Evidence<'_>) -> Option<Reason> {
    let cut = evidence.counts.requests.cancelled;
    let finding = Finding::caution(cut as f64, 0.0)?;
    let (noun, verb) = if cut == 1 { ("request", "was") } else { ("requests", "were") };
    let text = format!(
        "{cut} {noun} {verb} cut off at the end and in no percentile; what takes long is cut off \
         first"
    );
    Some(finding.reason(ReasonId::CutRequests, "", text))
}

fn unfinished_conversations(evidence: &Evidence<'_>) -> Option<Reason> {
    let conversations = evidence.counts.conversations;
    let open = conversations.unfinished + conversations.failed;
    let begun = open + conversations.finished;
    let share_open = ratio(open, begun)?;
    let finding = Finding::caution(share_open, UNFINISHED_RATIO)?;
    let text = format!(
        "{open} of {begun} conversations did not reach their end, so that late turns, which have \
         the longest prompts, are too few",
    );
    Some(finding.reason(ReasonId::UnfinishedConversations, "0..1", text))
}

fn interrupted(evidence: &Evidence<'_>) -> Option<Reason> {
    let finding = Finding::caution(f64::from(u8::from(evidence.counts.interrupted)), 0.0)?;
    let text = "the run was cut short before its end".to_owned();
    Some(finding.reason(ReasonId::Interrupted, "", text))
}

impl Evidence<'_> {
    /// What the server took, in ms; 0 when no answer came, so that only floors count.
    fn response_ms(&self) -> f64 {
        self.response_p50_ms.unwrap_or(0.0)
    }

    fn response_text(&self) -> String {
        let what = if self.plan.request.stream { "TTFT" } else { "latency" };
        match self.response_p50_ms {
            Some(response) => format!("a median {what} of {}", millis(response)),
            None => format!("no {what}"),
        }
    }

    /// Whether times come from the kernel. Without any first token there is nothing to be late.
    fn kernel_stamps(&self) -> bool {
        self.client.kernel_stamped_ratio.is_none_or(|ratio| ratio >= KERNEL_STAMPED_RATIO)
    }
}

/// What the slowest took, and the percentile that says so: the 99th, or the 90th where there are
/// too few samples for it, lest one hiccup judge a short run.
fn tail(describe: &Describe) -> Option<(f64, &'static str)> {
    let (percent, name) =
        if describe.count >= TAIL_SAMPLES { (99.0, "p99") } else { (90.0, "p90") };
    Some((describe.percentile(percent)?, name))
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Milliseconds with about three significant digits.
fn millis(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0} ms")
    } else if value >= 10.0 {
        format!("{value:.1} ms")
    } else {
        format!("{value:.2} ms")
    }
}

/// A share as a percentage, with a decimal where there is one to show.
fn share(ratio: f64) -> String {
    let text = format!("{:.1}", ratio * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}
