//! One function for each reason: `None` where there is nothing to say.

use super::finding::{Finding, millis, ratio, share};
use super::lateness::{event_delay, first_token_delay, loop_lag, shared_stamps, stall};
use super::thresholds::{
    BUSY_RATIO, CAPACITY_RATIO, FAILED_RATIO, HELD_BACK, IDLE_RATIO, KERNEL_STAMPED_RATIO,
    LAG_IN_GAP_RATIO, MOSTLY_SHARED_RATIO, RECORD_WAIT_RATIO, REQUESTS_MIN, SERVER_GAP,
    UNFINISHED_RATIO,
};
use super::{Evidence, Level, Reason, ReasonId};
use crate::ClientTrust;

/// A reason, where the evidence gives one.
pub(super) type Rule = fn(&Evidence<'_>) -> Option<Reason>;

/// Every rule.
pub(super) const RULES: &[Rule] = &[
    concurrency,
    send_lateness,
    cpu_busy,
    loop_lag,
    stall,
    shared_stamps,
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

fn concurrency(evidence: &Evidence<'_>) -> Option<Reason> {
    // Pauses that were asked for are no fault. (Those before retries are not in the ratio.)
    let pauses = evidence.plan.load.request_rate > 0.0;
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
    let (late, percentile) = evidence.client.held_back_ms.tail()?;
    let finding = Finding::of(late, HELD_BACK.against(evidence.response_ms()))?;
    let built = evidence.client.body_ready_ms.tail();
    let built = built.map_or_else(String::new, |(built, percentile)| {
        format!("; bodies were ready after {} ({percentile})", millis(built))
    });
    let text = format!(
        "requests were held back for {} ({percentile}, new connections not counted; limit {}, \
         against {}){built}",
        millis(late),
        millis(finding.threshold),
        evidence.response_text(),
    );
    Some(finding.reason(ReasonId::SendLateness, "ms", text))
}

fn cpu_busy(evidence: &Evidence<'_>) -> Option<Reason> {
    let ClientTrust { thread_busy_ratio, cores_busy_ratio, .. } = *evidence.client;
    let (busy, all) = match (thread_busy_ratio, cores_busy_ratio) {
        (Some(busiest), Some(all)) if all > busiest => (all, true),
        (busiest, _) => (busiest?, false),
    };
    let finding = Finding::of(busy, BUSY_RATIO)?;
    let (busy, limit) = (share(busy), share(finding.threshold));
    let threads = evidence.plan.client.threads;
    let text = if all {
        let cores = evidence.cores();
        format!(
            "the client's threads together used {busy} of the {cores} that they can run on (limit \
             {limit}; --threads {threads})"
        )
    } else {
        format!(
            "the client's busiest thread used {busy} of its core (limit {limit}; --threads \
             {threads}, {} here)",
            evidence.cores(),
        )
    };
    Some(finding.reason(ReasonId::CpuBusy, "0..1", text))
}

fn capacity(evidence: &Evidence<'_>) -> Option<Reason> {
    let used = evidence.client.capacity_ratio?;
    let finding = Finding::of(used, CAPACITY_RATIO)?;
    let text = format!(
        "the run took {} of what the client can carry here by turnbench selfcheck (limit {})",
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
        "{} of {} records had to wait until they were taken to the disk, and the client's threads \
         with them (limit {})",
        client.record_waits,
        client.attempts,
        share(finding.threshold),
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
    // A stamp of the kernel's that is a first token's own holds none of the client's delay; in the
    // others its lag bounds it.
    let lag = if !evidence.kernel_stamps() {
        evidence.client.loop_lag_ms.tail().map_or(f64::INFINITY, |(lag, _)| lag)
    } else if evidence.shared_ratio().is_some_and(|ratio| ratio >= MOSTLY_SHARED_RATIO) {
        evidence.client.loop_lag_max_ms.unwrap_or(f64::INFINITY)
    } else {
        0.0
    };
    let is_clients = lag > gap * LAG_IN_GAP_RATIO;
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
        "{} of {} requests failed and are in no percentile (limit {})",
        requests.failed,
        requests.failed + requests.completed,
        share(finding.threshold),
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
         the longest prompts, are too few (limit {})",
        share(finding.threshold),
    );
    Some(finding.reason(ReasonId::UnfinishedConversations, "0..1", text))
}

fn interrupted(evidence: &Evidence<'_>) -> Option<Reason> {
    let finding = Finding::caution(f64::from(u8::from(evidence.counts.interrupted)), 0.0)?;
    let text = "the run was cut short before its end".to_owned();
    Some(finding.reason(ReasonId::Interrupted, "", text))
}
