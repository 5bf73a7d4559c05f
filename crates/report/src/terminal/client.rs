use turnbench_metrics::RunReport;

use super::lines::{counted, labelled, millis};

/// One sentence on what the client itself may have added. Empty when nothing was sent.
pub fn client_text(report: &RunReport) -> String {
    let client = &report.client;
    if client.attempts == 0 {
        return String::new();
    }
    let late = millis(client.send_lateness_ms.percentile(99.0));
    let stamped = match client.kernel_stamped_ratio {
        Some(ratio) if ratio > 0.0 => {
            format!("{:.0} % of first tokens stamped by the kernel", ratio * 100.0)
        }
        Some(_) => "first tokens stamped by the client itself".to_owned(),
        None => "no first token".to_owned(),
    };
    let delay = client.client_delay_ms.percentile(99.0).map_or_else(String::new, |delay| {
        format!("read {} ms after arrival (p99), ", millis(Some(delay)))
    });
    let waits = match client.record_waits {
        0 => String::new(),
        waits => format!(", {} had to wait for the recorder", counted(waits, "record")),
    };
    labelled("client", &format!("sent {late} ms late (p99), {delay}{stamped}{waits}"))
}
