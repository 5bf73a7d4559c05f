//! The house rules, one file each.

mod crate_heads;
mod layers;
mod lengths;
mod words;

use crate::docs;
use crate::finding::Finding;
use crate::tree::Tree;

/// Every finding, by path and line.
pub(crate) fn run(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = layers::check(tree, &layers::metadata(&tree.root)?);
    findings.extend(lengths::check(tree));
    findings.extend(words::check(tree));
    findings.extend(crate_heads::check(tree));
    findings.extend(docs::check(tree)?);
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok(findings)
}
