//! The table of what is read from servers' metrics.

use std::fmt::Write;

use serde::Serialize;
use turnbench_model::FIGURES;

const HEAD: &str = "\
# Figures read from a server's metrics

Made from the table in `crates/model`; do not edit by hand. [server-metrics.md](server-metrics.md) says how
they are read. A counter is told by its growth over the run, a gauge by its values, a histogram by its growth
in sum, count and buckets.

| figure | kind | unit | of several engines | is |
| --- | --- | --- | --- | --- |
";

/// The whole document.
pub(super) fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for figure in FIGURES {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            figure.id,
            name(&figure.kind),
            name(&figure.unit),
            name(&figure.combination),
            figure.what
        );
    }
    text
}

/// A word as it is in JSON, with blanks.
fn name(word: &impl Serialize) -> String {
    let value = serde_json::to_value(word).unwrap_or_default();
    value.as_str().unwrap_or_default().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::{FIGURES, markdown};

    #[test]
    fn every_figure_has_a_row() {
        let text = markdown();
        let row =
            "| `prefix_cache_hits` | counter | tokens | sum | those of them that were there |";
        assert!(text.lines().any(|line| line == row), "{text}");
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(rows.count(), FIGURES.len());
    }
}
