use turnbench_metrics::{RunReport, ServerReport, TierShare};
use turnbench_model::{FigureFlag, FigureReading, MetricsSource};

use super::lines::{counted, grouped, labelled, percentage};

/// What the server said of itself in the run proper: what its cache gave, by tier, how full it was,
/// and whom it made wait. Empty where it was not asked.
///
/// Lines are broken for a terminal of `width` columns, as far as 40 to 100.
pub fn server_text(report: &RunReport, width: usize) -> String {
    let Some(server) = &report.server else { return String::new() };
    let mut text = String::new();
    let mut line = |label: &str, what: &str| text.push_str(&labelled(width, label, what));
    if server.is_reported() {
        line("server", &cached(server));
        if !server.tiers.is_empty() {
            let tiers: Vec<_> = server.tiers.iter().map(tier).collect();
            line("  by tier", &tiers.join(", "));
        }
        for (label, ratio) in [
            ("  prefix cache", server.prefix_cache_hit_ratio),
            ("  behind it", server.external_cache_hit_ratio),
        ] {
            if let Some(ratio) = ratio {
                line(
                    label,
                    &format!("hits for {} of the tokens looked up", percentage(Some(ratio))),
                );
            }
        }
        if let Some(load) = load(server) {
            line("  load", &load);
        }
    }
    for source in &server.figures.sources {
        if let Some(problem) = problem(source, server) {
            let label = if server.is_reported() { "" } else { "server" };
            line(label, &problem);
        }
    }
    for note in notes(&server.figures.readings) {
        line("", note);
    }
    text
}

fn cached(server: &ServerReport) -> String {
    match (server.cached_tokens, server.prompt_tokens) {
        (Some(cached), Some(prompt)) => format!(
            "{} of {} prompt tokens cached ({}), as its counters say",
            tokens(cached),
            tokens(prompt),
            percentage(server.cached_ratio)
        ),
        (None, Some(prompt)) => {
            format!("{} prompt tokens; cached tokens not reported", tokens(prompt))
        }
        (Some(cached), None) => {
            format!("{} prompt tokens cached; prompt tokens not reported", tokens(cached))
        }
        (None, None) => "prompt and cached tokens not reported by its counters".to_owned(),
    }
}

fn tier(share: &TierShare) -> String {
    match share.tokens {
        Some(count) => format!("{} {} ({})", share.tier, tokens(count), percentage(share.ratio)),
        None => format!("{} not known", share.tier),
    }
}

/// How full its cache was and whom it made wait.
fn load(server: &ServerReport) -> Option<String> {
    let usage = server.kv_usage.map(|usage| {
        format!(
            "KV cache used {} at most, {} on average",
            percentage(Some(usage.max)),
            percentage(Some(usage.mean))
        )
    });
    let waiting = server.waiting.map(|waiting| {
        format!("up to {} waiting", counted(waiting.max.max(0.0).round() as u64, "request"))
    });
    let preemptions = server
        .preemptions
        .map(|preemptions| counted(preemptions.max(0.0).round() as u64, "preemption"));
    let parts: Vec<_> = [usage, waiting, preemptions].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What there is to say of a URL that did not give all that it was asked for.
fn problem(source: &MetricsSource, server: &ServerReport) -> Option<String> {
    let url = &source.url;
    let why = source.first_failure.as_deref().unwrap_or("no answer");
    if source.pages == 0 {
        return Some(format!(
            "metrics not reported: {url}: {why} (--metrics-url, where they are elsewhere; llama.cpp: \
             --metrics, SGLang: --enable-metrics)"
        ));
    }
    if source.failures > 0 {
        let failures = counted(source.failures, "question");
        return Some(format!("{failures} for metrics without an answer: {url}: {why}"));
    }
    if source.dialects.is_empty() && server.figures.sources.len() == 1 {
        return Some(format!("metrics not reported: {url} shows no name that is known"));
    }
    if source.left_out > 0 {
        let count = grouped(source.left_out);
        return Some(format!(
            "{url} shows {count} series too many, so that its figures are of a part"
        ));
    }
    (source.bad_lines > 0)
        .then(|| format!("{} on {url} not understood", counted(source.bad_lines, "line")))
}

/// What holds for some figure and has to be known.
fn notes(readings: &[FigureReading]) -> Vec<&'static str> {
    let has = |flag| readings.iter().any(|reading| reading.has(flag));
    let mut notes = Vec::new();
    if has(FigureFlag::Restarted) {
        notes
            .push("the server was started anew during the run: its counters tell of less than all");
    }
    if has(FigureFlag::Vanished) {
        notes.push("some counters are gone from the last page: what they grew by is not known");
    }
    if has(FigureFlag::NoAfter) || has(FigureFlag::NoBefore) {
        notes.push(
            "a page from just before or after the run is missing: growth of its counters is not known",
        );
    }
    if has(FigureFlag::Alternating) {
        notes.push(
            "different servers answered at one URL, as behind a load balancer: growth of their counters \
             is not known (--metrics-url for each of them)",
        );
    }
    if has(FigureFlag::Repeated) {
        notes.push(
            "some requests count at two engines, or on two pages: figures in which they do are left out \
             here; each engine's own are in report.json",
        );
    }
    if has(FigureFlag::Lagging) {
        notes.push(
            "LMCache counts every 10 s only: its figures lack what came last, and may have what came \
             just before the run",
        );
    }
    notes
}

fn tokens(count: f64) -> String {
    grouped(count.max(0.0).round() as u64)
}
