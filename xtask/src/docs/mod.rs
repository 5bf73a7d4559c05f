//! Documents written by the program itself, so that they cannot drift from it.

mod cli;
mod figures;

use anyhow::Context;

use crate::finding::Finding;
use crate::tree::Tree;

/// One generated document.
struct Generated {
    /// Relative to the repository root.
    path: &'static str,
    text: fn() -> anyhow::Result<String>,
}

/// A new document is one line here.
const GENERATED: &[Generated] = &[
    Generated { path: "docs/metrics.md", text: || Ok(turnbench_metrics::metrics_markdown()) },
    Generated { path: "docs/server-figures.md", text: || Ok(figures::markdown()) },
    Generated { path: "docs/cli.md", text: || Ok(cli::markdown(turnbench::command())) },
    Generated { path: "docs/schema/run-report.json", text: schema::<turnbench_metrics::RunReport> },
    Generated {
        path: "docs/schema/workload-report.json",
        text: schema::<turnbench_metrics::WorkloadReport>,
    },
    Generated {
        path: "docs/schema/cache-report.json",
        text: schema::<turnbench_metrics::CacheReport>,
    },
    Generated {
        path: "docs/schema/tiers-report.json",
        text: schema::<turnbench_metrics::TiersReport>,
    },
    Generated { path: "docs/schema/selfcheck.json", text: schema::<turnbench_metrics::Selfcheck> },
    Generated { path: "docs/schema/plan.json", text: schema::<turnbench_model::Plan> },
    Generated { path: "docs/schema/record.json", text: schema::<turnbench_model::RequestRecord> },
];

/// The JSON Schema of a file format.
fn schema<T: schemars::JsonSchema>() -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&schemars::schema_for!(T))? + "\n")
}

/// Writes every document that differs.
pub(crate) fn write(tree: &Tree) -> anyhow::Result<()> {
    for document in GENERATED {
        let text = (document.text)()?;
        if tree.text(document.path) == Some(&text) {
            continue;
        }
        let path = tree.root.join(document.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Finds every document that differs, with its first differing line.
pub(crate) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for document in GENERATED {
        let text = (document.text)()?;
        findings.extend(stale(document.path, tree.text(document.path), &text));
    }
    Ok(findings)
}

fn stale(path: &str, there: Option<&str>, generated: &str) -> Option<Finding> {
    let mend = "run `cargo xtask docs`";
    let Some(there) = there else {
        return Some(Finding::new(path, 1, "the generated document is missing".to_owned(), mend));
    };
    if there == generated {
        return None;
    }
    let same = there.lines().zip(generated.lines()).take_while(|(a, b)| a == b).count();
    Some(Finding::new(path, same + 1, "differs from what the program generates".to_owned(), mend))
}

#[cfg(test)]
mod tests {
    use super::stale;

    #[test]
    fn a_missing_or_changed_document_is_found_at_its_first_difference() {
        let shown = |there| stale("docs/a.md", there, "one\ntwo\n").map(|found| found.to_string());
        assert_eq!(shown(Some("one\ntwo\n")), None);
        assert_eq!(
            shown(Some("one\n2\n")).as_deref(),
            Some("docs/a.md:2: differs from what the program generates; run `cargo xtask docs`")
        );
        assert_eq!(
            shown(None).as_deref(),
            Some("docs/a.md:1: the generated document is missing; run `cargo xtask docs`")
        );
    }
}
