use turnbench_metrics::{ClientTrust, Describe, RunReport, percents_for};

use super::lines::{counted, grouped, labelled, millis};

/// Up to here a lag of an event loop is the grain of its timers, in ms.
const LAG_GRAIN_MS: f64 = 1.1;

/// What the client itself may have added: how many requests it kept in flight, how late it sent, how
/// late it read, whether the kernel's stamps keep that out of the numbers, and how busy it was.
/// Empty when nothing was sent.
pub fn client_text(report: &RunReport) -> String {
    let client = &report.client;
    if client.attempts == 0 {
        return String::new();
    }
    let mut text = labelled("client", &in_flight(report));
    let late = tail(&client.send_lateness_ms, "late");
    text.push_str(&labelled("", &format!("requests sent {late}")));
    text.push_str(&labelled("", &receiving(client, report.plan.request.stream)));
    if let Some(load) = load(client) {
        text.push_str(&labelled("", &load));
    }
    if client.record_waits > 0 {
        let waits = counted(client.record_waits, "record");
        text.push_str(&labelled("", &format!("{waits} had to wait for the recorder")));
    }
    if let Some(gap) = server_gap(&client.server_gap_ms) {
        text.push_str(&labelled("", &gap));
    }
    text
}

/// Concurrency reached and asked for.
fn in_flight(report: &RunReport) -> String {
    let client = &report.client;
    let reached = match client.concurrency_mean {
        Some(mean) => format!("{mean:.1} of "),
        None => String::new(),
    };
    let asked = counted(client.concurrency_asked, "request");
    let paused = if report.plan.load.request_rate > 0.0 { ", with pauses as asked" } else { "" };
    let peak = grouped(client.concurrency_peak);
    format!("{reached}{asked} in flight on average ({peak} at most{paused})")
}

/// How busy the client's threads were; `None` where nothing is known or worth a word.
fn load(client: &ClientTrust) -> Option<String> {
    let busy = client.thread_busy_ratio;
    let busy = busy.map(|ratio| format!("busiest thread {:.0} % of its core", ratio * 100.0));
    let lag = &client.loop_lag_ms;
    let lag = lag.max.filter(|&max| max > LAG_GRAIN_MS);
    let lag = lag.map(|_| format!("event loops {}", tail(&client.loop_lag_ms, "late")));
    let capacity = client.capacity_ratio;
    let capacity = capacity.map(|ratio| format!("{:.0} % of its capacity in use", ratio * 100.0));
    let known: Vec<String> = [busy, lag, capacity].into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// TTFT beyond the server's own; `None` where the server does not report its times.
fn server_gap(gap: &Describe) -> Option<String> {
    let p50 = gap.percentile(50.0)?;
    let requests = counted(gap.count, "request");
    Some(format!(
        "TTFT {} ms beyond the server's own (median of {requests}; p99 {} ms, at most {} ms)",
        millis(Some(p50)),
        millis(gap.percentile(99.0)),
        millis(gap.max),
    ))
}

/// How late bytes were read, and which times contain that.
fn receiving(client: &ClientTrust, streamed: bool) -> String {
    let (time, stamped) = if streamed { ("TTFT", "first token") } else { ("latency", "answer") };
    let read = match client.client_delay_ms.count {
        0 => String::new(),
        _ => format!("bytes read {}, ", tail(&client.client_delay_ms, "after arrival")),
    };
    let shared = match client.shared_first_tokens {
        0 => String::new(),
        shared => format!(
            "; {} of {} first tokens share a stamp with later ones, so that their TTFT may be too large \
             by as long as the client was late",
            grouped(shared),
            grouped(client.first_tokens),
        ),
    };
    match client.kernel_stamped_ratio {
        None => format!("{read}no {stamped}"),
        Some(ratio) if ratio >= 1.0 && (read.is_empty() || !shared.is_empty()) => {
            format!("{read}the kernel stamped every {stamped}{shared}")
        }
        Some(ratio) if ratio >= 1.0 => {
            format!("{read}which no {time} contains: the kernel stamped every {stamped}")
        }
        Some(ratio) if ratio > 0.0 => format!(
            "{read}the kernel stamped {:.0} % of {stamped}s, the others contain the client's \
             own delay{shared}",
            (ratio * 100.0).clamp(1.0, 99.0)
        ),
        Some(_) => format!(
            "{read}{stamped}s stamped by the client itself, so that its own delay is in their \
             times"
        ),
    }
}

/// The 99th percentile (`1.00 ms late (p99)`), or the largest value where there are too few for one.
fn tail(describe: &Describe, how: &str) -> String {
    let enough = percents_for(usize::try_from(describe.count).unwrap_or(usize::MAX));
    match describe.percentile(99.0).filter(|_| enough.contains(&99.0)) {
        Some(value) => format!("{} ms {how} (p99)", millis(Some(value))),
        None => format!("at most {} ms {how}", millis(describe.max)),
    }
}
