//! The selfcheck, as people see it.

use turnbench_metrics::{
    Capacity, ClockQuality, Describe, LoadCheck, Machine, NetworkCheck, SELFCHECK_SCHEMA_VERSION,
    Selfcheck, Speed,
};
use turnbench_report::selfcheck_text;

const PERCENTS: [f64; 3] = [50.0, 90.0, 99.0];

fn found() -> Selfcheck {
    Selfcheck {
        schema_version: SELFCHECK_SCHEMA_VERSION,
        turnbench_version: "0.1.0".to_owned(),
        optimized: true,
        measured_unix_ns: 0,
        machine: Machine {
            cpu_model: Some("Example 9000".to_owned()),
            cpu_cores: Some(8),
            governors: vec!["powersave".to_owned()],
            clock_source: Some("tsc".to_owned()),
            file_limit_soft: Some(1_024),
            file_limit_hard: Some(1_048_576),
            files_max: Some(1_048_576),
            local_ports: Some(28_232),
            ..Machine::default()
        },
        clock: ClockQuality { resolution_ns: 20, read_cost_ns: 21.4 },
        speed: Some(Speed {
            requests_per_sec: 31_234.0,
            events_per_sec: 1_700_000.0,
            capacity: Capacity { cpu_ns_per_event: 3_300.0, cpu_ns_per_request: 21_000.0 },
        }),
        loads: vec![LoadCheck {
            streams: 1_024,
            streams_peak: 1_020,
            threads: 7,
            kernel_stamped_ratio: Some(1.0),
            client_delay_ms: Describe::of_all(&[0.02, 0.03, 0.9], &PERCENTS),
            held_back_ms: Describe::of_all(&[0.5], &PERCENTS),
            thread_busy_ratio: Some(0.31),
        }],
        network: Some(NetworkCheck {
            url: "http://gpu:8000".to_owned(),
            connect_ms: Describe::of_all(&[0.2, 0.3], &PERCENTS),
            health_ms: Describe::of_all(&[0.1, 0.2, 0.4], &PERCENTS),
            health_status: 200,
        }),
        missing: Vec::new(),
    }
}

#[test]
fn what_was_found_fits_a_terminal() {
    let text = selfcheck_text(&found(), 80);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "too wide:\n{text}");
    let expect = "\
machine        Example 9000, 8 cores, governor powersave
open files     at most 1,048,576 (limit now 1,024, raised as a run needs it):
               enough for 1,048,512 clients
local ports    28,232: enough for 28,232 connections to one server
clock          tsc, in steps of 20 ns; reading it takes 21 ns
kernel stamps  100 % of first tokens get their time from the kernel, as they
               arrive; the client reads them 30 us later when idle (median)
one thread     at most 31,234 requests/s of one token each
               at most 1,700,000 events/s where 16 arrive at a time
               21.0 us of CPU a request, 3.30 us an event that arrives alone
               a core is full with 30,303 streams of 10 tokens/s, or 6,060
               streams of 50 tokens/s, or 3,030 streams of 100 tokens/s

7 client threads, a server on this machine, streams of 100 tokens/s that start
together; in ms, read: from an event's arrival to the client's read of it, sent:
from when a request was due to its sending
streams  at once  read p50   p99   max  sent p99  CPU of busiest thread
1,024      1,020      0.03  0.88  0.90      0.50                   31 %

server         http://gpu:8000
  TCP connect  median 0.25 ms, min 0.20, p99 0.30 (2 samples): one round trip
               through the network
  GET /health  median 0.20 ms, min 0.10, p99 0.40 (3 samples, status 200): a
               round trip and the server's own time
to change
- the frequency governor is powersave, which slows idle cores down: `cpupower
  frequency-set -g performance`
";
    assert_eq!(text, expect, "found:\n{text}");
}

#[test]
fn what_could_not_be_measured_is_told() {
    let text = selfcheck_text(
        &Selfcheck {
            machine: Machine::default(),
            speed: None,
            loads: Vec::new(),
            network: None,
            missing: vec!["speed and delays: the source needs Linux".to_owned()],
            ..found()
        },
        80,
    );
    let expect = "\
machine        CPU not known
clock          source not known, in steps of 20 ns; reading it takes 21 ns
not measured   speed and delays: the source needs Linux
to change      nothing found
";
    assert_eq!(text, expect, "found:\n{text}");
}
