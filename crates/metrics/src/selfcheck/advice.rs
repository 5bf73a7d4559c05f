use super::{LoadCheck, Machine, NetworkCheck, Selfcheck};

/// Files and sockets of the process beside the clients' own.
pub const SPARE_FILES: u64 = 64;

/// How to raise the hard limit of open files.
pub const RAISE_HARD_FILE_LIMIT: &str = "raise the hard limit: `nofile` in \
     /etc/security/limits.conf, `LimitNOFILE=` of a systemd unit, or `docker run --ulimit \
     nofile=1048576`";

/// Clients that one machine should be able to have.
const CLIENTS_WANTED: u64 = 10_000;

/// Clock sources that are read without a system call.
const FAST_CLOCK_SOURCES: [&str; 4] =
    ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

/// Delay of the slowest events from which a load is too much, in ms: what the verdict's floor is.
const DELAY_MS: f64 = 5.0;

/// Time from one event of a stream to the next, in ms. Streams that start together send together:
/// a thread reads the last of such a batch after its own busy share of that time.
const BATCH_MS: f64 = 10.0;

/// Delay, in times of what reading a batch takes, beyond which the thread waited for a core.
const WAITED_TIMES: f64 = 2.0;

/// Time to open a connection from which the network is part of what is measured, in ms: a tenth of
/// the TTFT of a short prompt on a fast server.
const CONNECT_MS: f64 = 1.0;

/// What would help, in words, with the command; empty when nothing is in the way.
pub fn advice(found: &Selfcheck) -> Vec<String> {
    let mut all = Vec::new();
    if !found.optimized {
        all.push(
            "this turnbench is not optimised: build it with `cargo build --release`".to_owned(),
        );
    }
    all.extend(cores(&found.machine));
    all.extend(files(&found.machine));
    all.extend(ports(&found.machine));
    all.extend(governor(&found.machine));
    all.extend(clock(found));
    all.extend(loads(&found.loads));
    all.extend(found.network.as_ref().and_then(network));
    all
}

fn cores(machine: &Machine) -> Option<String> {
    let cores = machine.cpu_cores?;
    if let Some(limit) = machine.cpu_limit_cores {
        return Some(format!(
            "the control group gives this process {limit} cores at most, and stops it in between: \
             raise the container's CPU limit (docker: --cpus; Kubernetes: resources.limits.cpu)"
        ));
    }
    (cores < 2).then(|| {
        "there is one core: a server on this machine, even a simulated one, takes the client's \
         time"
            .to_owned()
    })
}

fn files(machine: &Machine) -> Option<String> {
    let files = machine.files_max?;
    let clients = machine.clients_max()?;
    (clients < CLIENTS_WANTED).then(|| {
        format!("{files} open files are enough for {clients} clients: {RAISE_HARD_FILE_LIMIT}")
    })
}

fn ports(machine: &Machine) -> Option<String> {
    let ports = machine.local_ports?;
    (u64::from(ports) < CLIENTS_WANTED).then(|| {
        format!(
            "{ports} local ports are as many connections to one server: `sysctl -w \
             net.ipv4.ip_local_port_range=\"10240 65535\"`"
        )
    })
}

fn governor(machine: &Machine) -> Option<String> {
    let slow: Vec<&str> =
        machine.governors.iter().map(String::as_str).filter(|&one| one != "performance").collect();
    (!slow.is_empty()).then(|| {
        format!(
            "the frequency governor is {}, which slows idle cores down: `cpupower frequency-set -g \
             performance`",
            slow.join(", ")
        )
    })
}

fn clock(found: &Selfcheck) -> Option<String> {
    let source = found.machine.clock_source.as_deref()?;
    (!FAST_CLOCK_SOURCES.contains(&source)).then(|| {
        format!(
            "the clock source is {source}, where a read costs {:.0} ns: `echo tsc > \
             /sys/devices/system/clocksource/clocksource0/current_clocksource`, where the machine \
             has it",
            found.clock.read_cost_ns
        )
    })
}

/// The first load that is too much.
fn loads(loads: &[LoadCheck]) -> Option<String> {
    let delay = |load: &LoadCheck| load.client_delay_ms.percentile(99.0);
    let too_much = loads.iter().find(|load| delay(load).is_some_and(|delay| delay > DELAY_MS))?;
    let delay_ms = delay(too_much)?;
    let waited = |ratio: &f64| delay_ms > WAITED_TIMES * ratio * BATCH_MS;
    let cure = match too_much.thread_busy_ratio.filter(waited) {
        Some(ratio) => format!(
            "its busiest thread used only {:.0} % of a core, so it probably had to wait for one; stop \
             other programs (`top`) and repeat this; if it stays so, give",
            ratio * 100.0
        ),
        None => "give".to_owned(),
    };
    let threads = match too_much.threads {
        1 => "1 thread".to_owned(),
        threads => format!("{threads} threads"),
    };
    Some(format!(
        "at {} streams of 100 tokens/s the client reads the slowest 1 % of events {delay_ms:.1} ms or \
         more after their arrival: {cure} it more cores (it had {threads}), or spread the load over \
         machines",
        too_much.streams,
    ))
}

fn network(network: &NetworkCheck) -> Option<String> {
    let median = network.connect_ms.percentile(50.0)?;
    (median > CONNECT_MS).then(|| {
        format!(
            "opening a connection to the server takes {median:.2} ms, which is one round trip \
             through the network, and every TTFT contains one: measure from a machine nearer to \
             the server"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::advice;
    use crate::{
        ClockQuality, Describe, LoadCheck, Machine, NetworkCheck, SELFCHECK_SCHEMA_VERSION,
        Selfcheck,
    };

    fn healthy() -> Selfcheck {
        Selfcheck {
            schema_version: SELFCHECK_SCHEMA_VERSION,
            turnbench_version: "0".to_owned(),
            optimized: true,
            measured_unix_ns: 0,
            machine: Machine {
                cpu_cores: Some(8),
                governors: vec!["performance".to_owned()],
                clock_source: Some("tsc".to_owned()),
                file_limit_soft: Some(1_024),
                file_limit_hard: Some(1_048_576),
                files_max: Some(1_048_576),
                local_ports: Some(28_232),
                ..Machine::default()
            },
            clock: ClockQuality::default(),
            speed: None,
            loads: vec![load(32, 0.05), load(1_024, 0.4)],
            network: None,
            missing: Vec::new(),
        }
    }

    fn load(streams: u64, delay_ms: f64) -> LoadCheck {
        LoadCheck {
            streams,
            streams_peak: streams,
            threads: 1,
            kernel_stamped_ratio: Some(1.0),
            client_delay_ms: Describe::of_all(&[delay_ms], &[50.0, 99.0]),
            held_back_ms: Describe::default(),
            thread_busy_ratio: None,
        }
    }

    fn check(change: impl FnOnce(&mut Selfcheck), expect: &str) {
        let mut found = healthy();
        change(&mut found);
        let said = advice(&found);
        match expect {
            "" => assert!(said.is_empty(), "{said:?}"),
            _ => assert!(said.len() == 1 && said[0].contains(expect), "{said:?}"),
        }
    }

    #[test]
    fn each_bottleneck_comes_with_its_cure() {
        check(|_| (), "");
        check(|found| found.optimized = false, "cargo build --release");
        check(|found| found.machine.cpu_cores = Some(1), "there is one core");
        check(|found| found.machine.cpu_limit_cores = Some(1.5), "gives this process 1.5 cores");
        check(|found| found.machine.files_max = Some(4_096), "enough for 4032 clients");
        check(|found| found.machine.local_ports = Some(1_000), "ip_local_port_range");
        check(|found| found.machine.governors = vec!["powersave".to_owned()], "cpupower");
        check(|found| found.machine.clock_source = Some("hpet".to_owned()), "echo tsc");
        check(|found| found.loads[1] = load(1_024, 12.0), ": give it more cores (it had 1 thread)");
        let full = LoadCheck { thread_busy_ratio: Some(0.95), ..load(1_024, 12.0) };
        check(|found| found.loads[1] = full, ": give it more cores");
        let waiting = LoadCheck { thread_busy_ratio: Some(0.19), ..load(1_024, 12.0) };
        check(|found| found.loads[1] = waiting, "used only 19 % of a core");
        let far = NetworkCheck {
            url: "http://far".to_owned(),
            connect_ms: Describe::of_all(&[30.0], &[50.0]),
            health_ms: Describe::of_all(&[31.0], &[50.0]),
            health_status: 200,
        };
        let slow = NetworkCheck { connect_ms: Describe::of_all(&[0.2], &[50.0]), ..far.clone() };
        check(|found| found.network = Some(far), "nearer to the server");
        check(|found| found.network = Some(slow), "");
    }

    #[test]
    fn what_is_not_known_is_no_bottleneck() {
        check(|found| found.machine = Machine::default(), "");
    }
}
