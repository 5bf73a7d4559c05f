use turnbench_metrics::{ClientTrust, Describe, RunReport, percents_for};

use super::lines::{counted, labelled, millis};

/// What the client itself may have added: how late it sent, how late it read, and whether the
/// kernel's stamps keep that out of the numbers. Empty when nothing was sent.
pub fn client_text(report: &RunReport) -> String {
    let client = &report.client;
    if client.attempts == 0 {
        return String::new();
    }
    let late = tail(&client.send_lateness_ms, "late");
    let mut text = labelled("client", &format!("requests sent {late}"));
    text.push_str(&labelled("", &receiving(client, report.plan.request.stream)));
    if client.record_waits > 0 {
        let waits = counted(client.record_waits, "record");
        text.push_str(&labelled("", &format!("{waits} had to wait for the recorder")));
    }
    text
}

/// How late bytes were read, and which times contain that.
fn receiving(client: &ClientTrust, streamed: bool) -> String {
    let (time, stamped) = if streamed { ("TTFT", "first token") } else { ("latency", "answer") };
    let read = match client.client_delay_ms.count {
        0 => String::new(),
        _ => format!("bytes read {}, ", tail(&client.client_delay_ms, "after arrival")),
    };
    match client.kernel_stamped_ratio {
        None => format!("{read}no {stamped}"),
        Some(ratio) if ratio >= 1.0 && read.is_empty() => {
            format!("the kernel stamped every {stamped}")
        }
        Some(ratio) if ratio >= 1.0 => {
            format!("{read}which no {time} contains: the kernel stamped every {stamped}")
        }
        Some(ratio) if ratio > 0.0 => format!(
            "{read}the kernel stamped {:.0} % of {stamped}s, the others contain the client's \
             own delay",
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
