use turnbench_metrics::{Describe, Machine, Selfcheck, Speed, advice};

use super::lines::{counted, grouped, labelled, millis, table, wrapped};

/// Rates of a stream for which it is said how many a core carries, in tokens per second.
const RATES: [u32; 3] = [10, 50, 100];

/// What a selfcheck found, and what to change; at most 80 columns.
pub fn selfcheck_text(found: &Selfcheck) -> String {
    let mut text = machine_text(&found.machine);
    let clock = format!(
        "{}, steps of {} ns, {:.0} ns a read",
        found.machine.clock_source.as_deref().unwrap_or("source not known"),
        found.clock.resolution_ns,
        found.clock.read_cost_ns,
    );
    text.push_str(&labelled("clock", &clock));
    text.push_str(&stamps_text(found));
    if let Some(speed) = &found.speed {
        text.push_str(&speed_text(speed));
    }
    if !found.loads.is_empty() {
        text.push_str(&loads_text(found));
    }
    if let Some(network) = &found.network {
        text.push_str(&labelled(
            "server",
            &format!("{} (GET /health: {})", network.url, network.health_status),
        ));
        text.push_str(&labelled("  connect", &spread(&network.connect_ms)));
        text.push_str(&labelled("  round trip", &spread(&network.round_trip_ms)));
    }
    for missing in &found.missing {
        text.push_str(&labelled("not measured", missing));
    }
    let advice = advice(found);
    if advice.is_empty() {
        text.push_str(&labelled("to change", "nothing found"));
    } else {
        text.push_str("to change\n");
        for one in advice {
            text.push_str(&wrapped("- ", &one, 2));
        }
    }
    text
}

fn machine_text(machine: &Machine) -> String {
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
    let mut text = labelled("machine", &format!("{model}{cores}{limit}{governors}"));
    if let (Some(soft), Some(hard)) = (machine.file_limit_soft, machine.file_limit_hard) {
        let files =
            format!("{} at the start, raised to {} by itself", grouped(soft), grouped(hard));
        text.push_str(&labelled("open files", &files));
    }
    if let Some(ports) = machine.local_ports {
        let ports = format!("{}, each a connection to one server", grouped(u64::from(ports)));
        text.push_str(&labelled("local ports", &ports));
    }
    text
}

/// What the lightest load says of the kernel's stamps.
fn stamps_text(found: &Selfcheck) -> String {
    let Some(idle) = found.loads.first() else { return String::new() };
    let stamped = idle.kernel_stamped_ratio.unwrap_or(0.0) * 100.0;
    let delay = &idle.client_delay_ms;
    let text = match delay.percentile(50.0) {
        Some(median) => format!(
            "{stamped:.0} % of first tokens; read {:.0} us later when idle (median)",
            median * 1_000.0
        ),
        None => "none: the client stamps by itself".to_owned(),
    };
    labelled("kernel stamps", &text)
}

fn speed_text(speed: &Speed) -> String {
    let capacity = speed.capacity;
    let rates = format!(
        "{} requests/s (one token each), {} events/s (16 at once)",
        grouped(speed.requests_per_sec.round() as u64),
        grouped(speed.events_per_sec.round() as u64),
    );
    let cost = format!(
        "CPU {:.1} us a request and {:.2} us an event",
        capacity.cpu_ns_per_request / 1_000.0,
        capacity.cpu_ns_per_event / 1_000.0,
    );
    let streams = RATES.into_iter().filter_map(|rate| {
        let count = capacity.streams_per_core(f64::from(rate))?;
        Some(format!("{} streams at {rate} tokens/s", grouped(count as u64)))
    });
    let streams: Vec<String> = streams.collect();
    let mut text = labelled("one thread", &rates) + &labelled("", &cost);
    if !streams.is_empty() {
        text.push_str(&labelled("", &format!("a full core carries {}", streams.join(", "))));
    }
    text
}

fn loads_text(found: &Selfcheck) -> String {
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
        "\n",
        &format!(
            "streams of 100 tokens/s that start together, {}; ms from an event's arrival to its \
             read, and by which sends were late",
            counted(threads, "client thread"),
        ),
        0,
    );
    let heading = ["streams", "peak", "read p50", "p99", "max", "sent p99", "busiest thread"];
    format!("{head}{}\n", table(&heading, &rows))
}

/// Smallest, median and 99th percentile.
fn spread(describe: &Describe) -> String {
    format!(
        "min {} ms, median {} ms, p99 {} ms ({})",
        millis(describe.min),
        millis(describe.percentile(50.0)),
        millis(describe.percentile(99.0)),
        counted(describe.count, "sample"),
    )
}
