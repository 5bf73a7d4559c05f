use turnbench_metrics::{ClientTrust, Describe, RunReport};

use super::lines::{counted, grouped, labelled, millis};

/// Up to here a lag of an event loop is the grain of its timers, in ms.
const LAG_GRAIN_MS: f64 = 1.1;

/// What the client itself may have added: how many requests it kept in flight, how late it sent, how
/// late it read, whether the kernel's stamps keep that out of the numbers, and how busy it was.
/// Empty when nothing was sent.
///
/// Lines are broken for a terminal of `width` columns, as far as 40 to 100.
pub fn client_text(report: &RunReport, width: usize) -> String {
    let client = &report.client;
    if client.attempts == 0 {
        return String::new();
    }
    let mut text = labelled(width, "client", &in_flight(report));
    text.push_str(&labelled(width, "", &sending(client)));
    if report.plan.request.stream {
        for (what, id) in
            [("from due to first token", "ttft_intended_ms"), ("gaps between tokens", "itl_ms")]
        {
            if let Some(metric) =
                report.metric(id).and_then(|describe| centre_and_tail(describe, id))
            {
                text.push_str(&labelled(width, "", &format!("{what} {metric}")));
            }
        }
    }
    text.push_str(&labelled(width, "", &receiving(client, report.plan.request.stream)));
    if let Some(load) = load(client) {
        text.push_str(&labelled(width, "", &load));
    }
    if client.record_waits > 0 {
        let waits = counted(client.record_waits, "record");
        text.push_str(&labelled(width, "", &format!("{waits} had to wait for the recorder")));
    }
    if let Some(gap) = server_gap(&client.server_gap_ms) {
        text.push_str(&labelled(width, "", &gap));
    }
    text
}

/// How long requests were held back, and how late they were with the time that connections took.
fn sending(client: &ClientTrust) -> String {
    let shown = |describe: &Describe| {
        let (late, percentile) = describe.tail()?;
        Some((millis(Some(late)), percentile))
    };
    let Some((held_back, percentile)) = shown(&client.held_back_ms) else {
        return "no request sent".to_owned();
    };
    let with_connections = match shown(&client.send_lateness_ms) {
        Some((late, _)) if late != held_back => format!("; {late} ms with new connections"),
        _ => String::new(),
    };
    format!("requests sent {held_back} ms after they were due ({percentile}{with_connections})")
}

/// `50.1 ms (ttft_intended_ms: median; p99 60.2 ms)`; `None` without a value.
fn centre_and_tail(describe: &Describe, id: &str) -> Option<String> {
    let median = describe.percentile(50.0)?;
    let (tail, percentile) = describe.tail()?;
    let (median, tail) = (millis(Some(median)), millis(Some(tail)));
    Some(format!("{median} ms ({id}: median; {percentile} {tail} ms)"))
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
    let all = client.cores_busy_ratio.filter(|&all| client.thread_busy_ratio < Some(all));
    let all = all.map(|ratio| format!("all threads {:.0} % of the client's cores", ratio * 100.0));
    let lag = client.loop_lag_max_ms.filter(|&max| max > LAG_GRAIN_MS);
    let lag = lag.map(|max| {
        let lag = tail(&client.loop_lag_ms, "late");
        format!("event loops {lag}, {} ms at worst", millis(Some(max)))
    });
    let capacity = client.capacity_ratio;
    let capacity = capacity
        .map(|ratio| format!("{:.0} % of the client's capacity here in use", ratio * 100.0));
    let known: Vec<String> = [busy, all, lag, capacity].into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// TTFT beyond the server's own; `None` where the server does not report its times.
fn server_gap(gap: &Describe) -> Option<String> {
    let p50 = gap.percentile(50.0)?;
    let (tail, percentile) = gap.tail()?;
    let requests = counted(gap.count, "request");
    Some(format!(
        "TTFT {} ms beyond the server's own (server_gap_ms: median of {requests}; {percentile} {} ms, at most \
         {} ms)",
        millis(Some(p50)),
        millis(Some(tail)),
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
        shared => {
            let excess = &client.shared_stamp_excess_ms;
            let worst = excess.max.filter(|&worst| worst > 0.0);
            format!(
                "; {} of {} first tokens share a stamp with later ones{}",
                grouped(shared),
                grouped(client.first_tokens),
                worst.map_or_else(String::new, |worst| {
                    format!(", so that TTFT is too large by up to {} ms", millis(Some(worst)))
                }),
            )
        }
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

/// `1.00 ms late (p99)`: the percentile that the verdict judges.
fn tail(describe: &Describe, how: &str) -> String {
    match describe.tail() {
        Some((value, percentile)) => format!("{} ms {how} ({percentile})", millis(Some(value))),
        None => format!("- ms {how}"),
    }
}
