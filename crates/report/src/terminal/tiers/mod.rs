mod notes;
mod plot;

use turnbench_metrics::{
    BreakEven, CannotTell, Estimate, ProbingEnd, PromptCost, Reach, TierLevel, TiersReport,
};

use super::lines::{counted, grouped, labelled, millis, table, wrapped};
use super::sizes::gib;
use notes::notes;
use plot::plot;

/// What `turnbench cache tiers` prints, for a terminal of `width` columns.
pub fn tiers_text(report: &TiersReport, width: usize) -> String {
    let blocks = [
        heading(report, width),
        plot(report, width),
        levels(report),
        wrapped(width, "", &summary(report), 0),
        notes(report, width),
    ];
    blocks.into_iter().filter(|block| !block.is_empty()).collect::<Vec<_>>().join("\n")
}

fn heading(report: &TiersReport, width: usize) -> String {
    let version = report.server_version.as_deref();
    let version = version.map_or_else(String::new, |version| format!(", version {version}"));
    let mut text =
        labelled(width, "server", &format!("{}, model {}{version}", report.url, report.model));
    let failed = match report.failed_requests {
        0 => String::new(),
        failed => format!(" ({} failed)", grouped(failed)),
    };
    let probing = format!(
        "{}{failed} with {} of new prompts, in {} of at most {}",
        counted(report.requests, "request"),
        counted(report.fresh_tokens, "token"),
        seconds(report.elapsed_ns),
        seconds(report.budget_ns)
    );
    text.push_str(&labelled(width, "probing", &probing));
    let bytes = report.kv_bytes_per_token.map_or_else(
        || {
            "bytes for a token are not known; --kv-bytes-per-token or --model-config tells them, \
             and there are GiB as well"
                .to_owned()
        },
        |bytes| format!("{} bytes for a token", grouped(bytes.round() as u64)),
    );
    text.push_str(&labelled(width, "KV cache", &bytes));
    if let Some(capacity) = report.reported_capacity_tokens {
        let block =
            report.block_tokens.map_or_else(String::new, |block| format!(" in blocks of {block}"));
        let told = format!("the server's metrics: {}{block}", counted(capacity, "token"));
        text.push_str(&labelled(width, "reported", &told));
    }
    text
}

/// Columns that are in bytes: only where the bytes of a token are known.
const BYTES_COLUMNS: [&str; 2] = ["GiB", "GiB/s"];

fn levels(report: &TiersReport) -> String {
    let heading = [
        "level",
        "reaches",
        "within",
        "GiB",
        "TTFT ms",
        "tokens/s",
        "GiB/s",
        "start ms",
        "pays from",
    ];
    let mut rows: Vec<Vec<String>> = report.levels.iter().map(level_row).collect();
    if let Some(recompute) = &report.recompute {
        let mut row = ["recompute", "-", "-", "-", "-"].map(str::to_owned).to_vec();
        row.extend(cost_cells(Some(recompute)));
        row.push("-".to_owned());
        rows.push(row);
    }
    if rows.is_empty() {
        return String::new();
    }
    let is_kept =
        |at: &usize| report.kv_bytes_per_token.is_some() || !BYTES_COLUMNS.contains(&heading[*at]);
    let kept: Vec<usize> = (0..heading.len()).filter(is_kept).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| kept.iter().map(|at| row[*at].clone()).collect()).collect();
    table(&kept.iter().map(|at| heading[*at]).collect::<Vec<_>>(), &rows)
}

fn level_row(level: &TierLevel) -> Vec<String> {
    let dash = || "-".to_owned();
    let tokens = |tokens: f64| grouped(tokens.round().max(0.0) as u64);
    let reach = level.reach.as_ref();
    let mut row = vec![
        level_name(level),
        reach.map_or_else(|| "no end".to_owned(), |reach| tokens(reach.tokens)),
        reach.map_or_else(dash, within),
        reach.and_then(|reach| reach.bytes).map_or_else(dash, gib),
        millis(Some(level.ttft_ms)),
    ];
    row.extend(cost_cells(level.reload.as_ref()));
    row.push(match level.break_even {
        None => dash(),
        Some(BreakEven::Always) => "any".to_owned(),
        Some(BreakEven::From { tokens: from }) => tokens(from),
        Some(BreakEven::Never) => "never".to_owned(),
    });
    row
}

fn level_name(level: &TierLevel) -> String {
    let place =
        if level.place == 0 { "device".to_owned() } else { format!("tier {}", level.place) };
    match &level.reported_as {
        Some(name) if *name != place => format!("{place} ({name})"),
        Some(_) | None => place,
    }
}

/// The bracket around a reach, as a share of it.
fn within(reach: &Reach) -> String {
    let off = (reach.tokens_high - reach.tokens).max(reach.tokens - reach.tokens_low);
    format!("{:.1} %", off / reach.tokens.max(1.0) * 100.0)
}

fn cost_cells(cost: Option<&PromptCost>) -> [String; 3] {
    let Some(cost) = cost else { return ["-", "-", "-"].map(str::to_owned) };
    let speed = speed(&cost.tokens_per_sec);
    let bytes = cost.bytes_per_sec.map_or_else(|| "-".to_owned(), gib);
    [speed, bytes, millis(Some(cost.latency_ms))]
}

fn speed(speed: &Estimate) -> String {
    grouped(speed.value.round() as u64)
}

fn seconds(ns: u64) -> String {
    format!("{:.0} s", ns as f64 / 1e9)
}

/// The answer in words.
fn summary(report: &TiersReport) -> String {
    if let ProbingEnd::CannotTell { why } = &report.end {
        return cannot_tell(*why).to_owned();
    }
    let Some(device) = report.levels.first() else {
        return "nothing can be said about levels: not enough was measured".to_owned();
    };
    let first = match &device.reach {
        Some(reach) => format!("the device's cache holds about {}", size(reach)),
        None => format!(
            "everything was still on the device after {} of other prompts: its end was not found",
            counted(report.newer_tokens_max, "token")
        ),
    };
    let tiers = report.levels[1..].iter().map(|level| tier_text(report, level));
    let last = match (report.end_found, report.levels.len()) {
        (false, _) => "computing anew runs",
        (true, 1) => "no tier was found behind it: what was sent longer ago is computed anew",
        (true, _) => "what was sent longer ago is computed anew",
    };
    let last = report
        .recompute
        .as_ref()
        .map(|recompute| format!("{last} at {} tokens/s", speed(&recompute.tokens_per_sec)));
    std::iter::once(first).chain(tiers).chain(last).collect::<Vec<_>>().join("; ")
}

fn tier_text(report: &TiersReport, level: &TierLevel) -> String {
    let name = level_name(level);
    let reach = match &level.reach {
        Some(reach) => format!("{name} reaches to {}", size(reach)),
        None => format!("{name} has no end within {}", counted(report.newer_tokens_max, "token")),
    };
    let Some(reload) = &level.reload else { return reach };
    let slower = match level.break_even {
        Some(BreakEven::Never) => ", slower than computing anew",
        Some(BreakEven::Always | BreakEven::From { .. }) | None => "",
    };
    format!("{reach} and loads {} tokens/s{slower}", speed(&reload.tokens_per_sec))
}

fn size(reach: &Reach) -> String {
    let tokens = counted(reach.tokens.round().max(0.0) as u64, "token");
    match reach.bytes {
        Some(bytes) => format!("{tokens} ({} GiB)", gib(bytes)),
        None => tokens,
    }
}

const fn cannot_tell(why: CannotTell) -> &'static str {
    match why {
        CannotTell::NoTokenCounts => {
            "nothing can be told: answers do not say how many tokens prompts have \
             (usage.prompt_tokens)"
        }
        CannotTell::ComputesTooFast => {
            "nothing can be told: computing a prompt takes hardly longer than the time to first \
             token varies by itself; longer prompts make it clearer (--prompt-tokens)"
        }
        CannotTell::NoPrefixCaching => {
            "no prefix cache was found: a prompt sent twice takes as long the second time as the \
             first, and is not reported as cached"
        }
    }
}
