use std::fs;

use turnbench_metrics::Environment;

/// This machine, as far as results depend on it; no name of host or user.
pub(crate) fn environment(started_unix_ns: u64) -> Environment {
    Environment {
        turnbench_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_unix_ns,
        os: std::env::consts::OS.to_owned(),
        kernel: read_trimmed("/proc/sys/kernel/osrelease"),
        cpu_model: cpu_model(),
        cpu_cores: std::thread::available_parallelism().ok().map(|cores| cores.get() as u32),
        capacity: None,
        server_version: None,
        server_models: Vec::new(),
    }
}

/// A file of one line, without its end; `None` where there is none or it is empty.
pub(crate) fn read_trimmed(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, model)| model.trim().to_owned())
}
