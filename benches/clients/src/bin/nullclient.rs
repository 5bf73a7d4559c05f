//! The client that does nothing but read: what the machine can do at all.

fn main() -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    return turnbench_bench::null_client::run(&turnbench_bench::Work::of_arguments());
    #[cfg(not(target_os = "linux"))]
    anyhow::bail!(turnbench_bench::LINUX_ONLY);
}
