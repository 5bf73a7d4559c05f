//! turnbench's own receive path, alone: kernel stamps, its own HTTP/1.1 reader, nothing decoded.

fn main() -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    return turnbench_bench::turn_client::run(&turnbench_bench::Work::of_arguments());
    #[cfg(not(target_os = "linux"))]
    anyhow::bail!(turnbench_bench::LINUX_ONLY);
}
