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
            round_trip_ms: Describe::of_all(&[0.1, 0.2, 0.4], &PERCENTS),
            health_status: 200,
        }),
        missing: Vec::new(),
    }
}

#[test]
fn what_was_found_fits_a_terminal() {
    let text = selfcheck_text(&found());
    assert!(text.lines().all(|line| line.chars().count() <= 80), "too wide:\n{text}");
    let expect = "\
machine        Example 9000, 8 cores, governor powersave
open files     1,024 at the start, raised to 1,048,576 by itself
local ports    28,232, each a connection to one server
clock          tsc, steps of 20 ns, 21 ns a read
kernel stamps  100 % of first tokens; read 30 us later when idle (median)
one thread     31,234 requests/s (one token each), 1,700,000 events/s (16 at
               once)
               CPU 21.0 us a request and 3.30 us an event
               a full core carries 30,303 streams at 10 tokens/s, 6,060 streams
               at 50 tokens/s, 3,030 streams at 100 tokens/s

streams of 100 tokens/s that start together, 7 client threads; ms from an
event's arrival to its read, and by which sends were late
streams   peak  read p50   p99   max  sent p99  busiest thread
1,024    1,020      0.03  0.88  0.90      0.50            31 %

server         http://gpu:8000 (GET /health: 200)
  connect      min 0.20 ms, median 0.25 ms, p99 0.30 ms (2 samples)
  round trip   min 0.10 ms, median 0.20 ms, p99 0.40 ms (3 samples)
to change
- the frequency governor is powersave, which slows idle cores down: `cpupower
  frequency-set -g performance`
";
    assert_eq!(text, expect, "found:\n{text}");
}

#[test]
fn what_could_not_be_measured_is_told() {
    let text = selfcheck_text(&Selfcheck {
        machine: Machine::default(),
        speed: None,
        loads: Vec::new(),
        network: None,
        missing: vec!["speed and delays: the source needs Linux".to_owned()],
        ..found()
    });
    let expect = "\
machine        CPU not known
clock          source not known, steps of 20 ns, 21 ns a read
not measured   speed and delays: the source needs Linux
to change      nothing found
";
    assert_eq!(text, expect, "found:\n{text}");
}
