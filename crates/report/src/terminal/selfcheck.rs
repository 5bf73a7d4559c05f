use turnbench_metrics::{Describe, Machine, NetworkCheck, Selfcheck, Speed, advice};

use super::lines::{counted, grouped, labelled, millis, table, wrapped};

/// Rates of a stream for which it is said how many a core carries, in tokens per second.
const RATES: [u32; 3] = [10, 50, 100];

/// What a selfcheck found, and what to change. The table keeps to 80 columns.
///
/// Lines are broken for a terminal of `width` columns, as far as 40 to 100.
pub fn selfcheck_text(found: &Selfcheck, width: usize) -> String {
    let mut text = machine_text(&found.machine, width);
    let clock = format!(
        "{}, in steps of {} ns; reading it takes {:.0} ns",
        found.machine.clock_source.as_deref().unwrap_or("source not known"),
        found.clock.resolution_ns,
        found.clock.read_cost_ns,
    );
    text.push_str(&labelled(width, "clock", &clock));
    text.push_str(&stamps_text(found, width));
    if let Some(speed) = &found.speed {
        text.push_str(&speed_text(speed, width));
    }
    if !found.loads.is_empty() {
        text.push_str(&loads_text(found, width));
    }
    if let Some(network) = &found.network {
        text.push_str(&network_text(network, width));
    }
    for missing in &found.missing {
        text.push_str(&labelled(width, "not measured", missing));
    }
    let advice = advice(found);
    if advice.is_empty() {
        text.push_str(&labelled(width, "to change", "nothing found"));
    } else {
        text.push_str("to change\n");
        for one in advice {
            text.push_str(&wrapped(width, "- ", &one, 2));
        }
    }
    text
}

fn machine_text(machine: &Machine, width: usize) -> String {
    let model = machine.cpu_model.as_deref().unwrap_or("CPU not known");
    let cores = machine
        .cpu_cores
        .map_or_else(String::new, |cores| format!(", {}", counted(u64::from(cores), "core")));
    let limit = match machine.cpu_limit_cores {
        Some(limit) => format!(", at most {limit} of them (control group)"),
        None => String::new(),
    };
    let governors = match machine.governors.as_slice() {
        [] => String::new(),
        all => format!(", governor {}", all.join(", ")),
    };
    let mut text = labelled(width, "machine", &format!("{model}{cores}{limit}{governors}"));
    if let (Some(files), Some(clients)) = (machine.files_max, machine.clients_max()) {
        let raised = match machine.file_limit_soft {
            Some(soft) if soft < files => {
                format!(" (limit now {}, raised as a run needs it)", grouped(soft))
            }
            _ => String::new(),
        };
        let files =
            format!("at most {}{raised}: enough for {} clients", grouped(files), grouped(clients));
        text.push_str(&labelled(width, "open files", &files));
    }
    if let Some(ports) = machine.local_ports {
        let ports =
            format!("{0}: enough for {0} connections to one server", grouped(u64::from(ports)));
        text.push_str(&labelled(width, "local ports", &ports));
    }
    text
}

/// What the lightest load says of the kernel's stamps.
fn stamps_text(found: &Selfcheck, width: usize) -> String {
    let Some(idle) = found.loads.first() else { return String::new() };
    let stamped = idle.kernel_stamped_ratio.unwrap_or(0.0) * 100.0;
    let text = match idle.client_delay_ms.percentile(50.0) {
        Some(median) => format!(
            "{stamped:.0} % of first tokens get their time from the kernel, as they arrive; the \
             client reads them {:.0} us later when idle (median)",
            median * 1_000.0
        ),
        None => "none: times are taken when the client reads, and contain its delays".to_owned(),
    };
    labelled(width, "kernel stamps", &text)
}

fn speed_text(speed: &Speed, width: usize) -> String {
    let capacity = speed.capacity;
    let mut text = labelled(
        width,
        "one thread",
        &format!(
            "at most {} requests/s of one token each",
            grouped(speed.requests_per_sec.round() as u64)
        ),
    );
    text.push_str(&labelled(
        width,
        "",
        &format!(
            "at most {} events/s where 16 arrive at a time",
            grouped(speed.events_per_sec.round() as u64)
        ),
    ));
    text.push_str(&labelled(
        width,
        "",
        &format!(
            "{:.1} us of CPU a request, {:.2} us an event that arrives alone",
            capacity.cpu_ns_per_request / 1_000.0,
            capacity.cpu_ns_per_event / 1_000.0,
        ),
    ));
    let streams = RATES.into_iter().filter_map(|rate| {
        let count = capacity.streams_per_core(f64::from(rate))?;
        Some(format!("{} streams of {rate} tokens/s", grouped(count as u64)))
    });
    let streams: Vec<String> = streams.collect();
    if !streams.is_empty() {
        text.push_str(&labelled(
            width,
            "",
            &format!("a core is full with {}", streams.join(", or ")),
        ));
    }
    text
}

fn loads_text(found: &Selfcheck, width: usize) -> String {
    let rows: Vec<Vec<String>> = found
        .loads
        .iter()
        .map(|load| {
            let delay = |percent| millis(load.client_delay_ms.percentile(percent));
            vec![
                grouped(load.streams),
                grouped(load.streams_peak),
                delay(50.0),
                delay(99.0),
                millis(load.client_delay_ms.max),
                millis(load.held_back_ms.percentile(99.0)),
                load.thread_busy_ratio
                    .map_or_else(|| "-".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0)),
            ]
        })
        .collect();
    let threads = found.loads.iter().map(|load| u64::from(load.threads)).max().unwrap_or(1);
    let head = wrapped(
        width,
        "\n",
        &format!(
            "{}, a server on this machine, streams of 100 tokens/s that start together; in ms, read: \
             from an event's arrival to the client's read of it, sent: from when a request was due \
             to its sending",
            counted(threads, "client thread"),
        ),
        0,
    );
    let heading =
        ["streams", "at once", "read p50", "p99", "max", "sent p99", "CPU of busiest thread"];
    format!("{head}{}\n", table(&heading, &rows))
}

fn network_text(network: &NetworkCheck, width: usize) -> String {
    let mut text = labelled(width, "server", &network.url);
    let connect = format!("{}): one round trip through the network", spread(&network.connect_ms));
    text.push_str(&labelled(width, "  TCP connect", &connect));
    let health = format!(
        "{}, status {}): a round trip and the server's own time",
        spread(&network.health_ms),
        network.health_status
    );
    text.push_str(&labelled(width, "  GET /health", &health));
    text
}

/// Median, smallest and 99th percentile, and the count in an open bracket.
fn spread(describe: &Describe) -> String {
    format!(
        "median {} ms, min {}, p99 {} ({}",
        millis(describe.percentile(50.0)),
        millis(describe.min),
        millis(describe.percentile(99.0)),
        counted(describe.count, "sample"),
    )
}
