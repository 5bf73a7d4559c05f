use turnbench_client::{BasePath, Endpoint};
use turnbench_model::{Compat, MetricsPlan, Nanos};

use crate::args::MetricsArgs;
use crate::exit::Exit;

/// Shortest and longest time between two looks, in seconds.
const INTERVAL_SEC: (f64, f64) = (0.05, 3_600.0);
/// Most URLs.
const URLS_MAX: usize = 256;

/// Where and how often the server's metrics are asked for. `base_url` is a URL that was checked. A
/// reference program's requests are reproduced without any other, unless a URL is named.
pub(crate) fn metrics_plan(
    args: &MetricsArgs,
    base_url: &str,
    compat: Compat,
) -> Result<Option<MetricsPlan>, Exit> {
    let (shortest, longest) = INTERVAL_SEC;
    let seconds = args.metrics_interval;
    if seconds != 0.0 && !(shortest..=longest).contains(&seconds) {
        return Err(Exit::usage(format!(
            "--metrics-interval is {seconds}; it must be from {shortest} to {longest} seconds, or 0 \
             for only before and after the run"
        )));
    }
    if args.metrics_url.len() > URLS_MAX {
        return Err(Exit::usage(format!(
            "--metrics-url is given {} times; at most {URLS_MAX} are asked",
            args.metrics_url.len()
        )));
    }
    if args.no_metrics || (compat == Compat::Vllm && args.metrics_url.is_empty()) {
        return Ok(None);
    }
    let mut urls = Vec::new();
    for url in &args.metrics_url {
        let url = checked(url)?;
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    if urls.is_empty() {
        let base = Endpoint::parse(base_url, BasePath::Normalise);
        urls.push(base.map_err(|error| Exit::usage(format!("--{error}")))?.url("/metrics"));
    }
    let interval_ns = (seconds > 0.0).then_some(Nanos((seconds * 1e9).round() as u64));
    Ok(Some(MetricsPlan { urls, interval_ns }))
}

/// The URL, with the usual path where it has none.
fn checked(url: &str) -> Result<String, Exit> {
    let parsed = Endpoint::parse(url, BasePath::Keep);
    let endpoint = parsed.map_err(|error| Exit::usage(format!("--metrics-{error}")))?;
    let path = if matches!(&*endpoint.target(""), "" | "/") { "/metrics" } else { "" };
    Ok(endpoint.url("").trim_end_matches('/').to_owned() + path)
}

#[cfg(test)]
mod tests {
    use turnbench_model::Compat;

    use super::metrics_plan;
    use crate::args::MetricsArgs;

    fn check(urls: &[&str], expect: &[&str]) {
        let metrics_url = urls.iter().map(|url| (*url).to_owned()).collect();
        let args = MetricsArgs { metrics_url, metrics_interval: 1.0, no_metrics: false };
        let plan = metrics_plan(&args, "http://h:8000/v1", Compat::None).unwrap().unwrap();
        assert_eq!(plan.urls, expect);
        let compat = metrics_plan(&args, "http://h:8000/v1", Compat::Vllm).unwrap();
        assert_eq!(compat.is_some(), !urls.is_empty());
    }

    #[test]
    fn the_servers_own_metrics_are_asked_for_unless_others_are_named() {
        check(&[], &["http://h:8000/metrics"]);
        check(&["http://h:9/prometheus/metrics"], &["http://h:9/prometheus/metrics"]);
    }

    #[test]
    fn a_url_without_a_path_gets_the_usual_one_and_one_twice_counts_once() {
        check(&["http://a:1", "http://b:1/"], &["http://a:1/metrics", "http://b:1/metrics"]);
        check(&["http://a:1", "http://a:1/metrics"], &["http://a:1/metrics"]);
    }
}
