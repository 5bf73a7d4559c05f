//! A receive path that might be: hyper's client connections on one current-thread runtime.

fn main() -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    return turnbench_bench::hyper_client::run(&turnbench_bench::Work::of_arguments());
    #[cfg(not(target_os = "linux"))]
    anyhow::bail!(turnbench_bench::LINUX_ONLY);
}
