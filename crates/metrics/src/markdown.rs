use std::fmt::Write;

use crate::definitions::{Definition, Group, PRINTED, Printed, definitions};
use crate::verdict::push_guide;

const HEAD: &str = "\
# What each number means

Made from the table of definitions in `crates/metrics`; do not edit by hand.

Stamps of a request, in order, on a monotonic clock since the run's epoch: `intended` (when the load
model wanted it) → `built` (body ready) → `sent` (just before the first byte is handed to the kernel)
→ `written` → `headers` → `first_event` → `first_token` → … → `last_token` → `end`. On Linux the
receive stamps are the kernel's, taken when the packet arrived.

A *turn* is one user-to-assistant exchange, that is one request; names that come from the reference
client (`input_num_turns`, `--max-turns`) count messages. A *chunk* is an SSE event that carries output
text. Only completed requests of the run proper are in the statistics; failures are counted beside them.

Percentiles are exact, from all samples, with linear interpolation at (n − 1) · q; the standard deviation
is the sample's (n − 1). In every table the 99th percentile is shown from 100 samples on, the 99.9th from
1,000, the 99.99th from 10,000 (of the run before any warm-up requests are left out); only the table about
the input file (`num_turns`) always has all of them, as the reference has. Headline percentiles (p50, p90,
p99 of `ttft_raw_ms`, `tpot_ms` and `latency_ms`) carry a distribution-free 95 % confidence interval made
of order statistics; an end that the sample is too small to give, or that would leave the estimate
outside, is left open. A value that is not
known is empty in tables (`NaN` in the reference's table) and `null` in JSON, never 0.
";

/// The documentation of every number: the text of `docs/metrics.md`.
pub fn metrics_markdown() -> String {
    let mut text = HEAD.to_owned();
    for group in Group::ALL {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n## {}\n\n", group.title());
        text.push_str("| name | unit | is | from |\n| --- | --- | --- | --- |\n");
        for definition in definitions().filter(|definition| definition.group == group) {
            push_row(&mut text, definition);
        }
    }
    push_guide(&mut text);
    push_printed(&mut text);
    text
}

/// Where on the terminal each number stands.
fn push_printed(text: &mut String) {
    text.push_str("\n## What is printed where\n");
    for block in PRINTED {
        let _ = write!(text, "\n### {}\n\n", block.title);
        text.push_str("| printed | number | which |\n| --- | --- | --- |\n");
        for Printed { label, ids, what } in block.labels {
            let ids: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
            let _ = writeln!(text, "| {label} | {} | {what} |", ids.join(", "));
        }
    }
}

fn push_row(text: &mut String, definition: &Definition) {
    let Definition { id, unit, meaning, source, .. } = definition;
    let _ = writeln!(text, "| `{id}` | {unit} | {meaning} | {} |", source.name());
}

#[cfg(test)]
mod tests {
    use super::metrics_markdown;

    #[test]
    fn cells_hold_no_bars_and_no_line_breaks() {
        let mut bars = 0;
        for line in metrics_markdown().lines() {
            if !line.starts_with('|') {
                bars = 0;
                continue;
            }
            let found = line.matches('|').count();
            assert!(bars == 0 || bars == found, "{line}");
            bars = found;
        }
    }
}
