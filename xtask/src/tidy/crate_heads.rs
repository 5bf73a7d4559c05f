//! Every crate says what it is, and takes the workspace's lints.

use crate::finding::Finding;
use crate::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (manifest, text) in tree.texts() {
        let Some(folder) = manifest.strip_suffix("/Cargo.toml") else { continue };
        let head = ["src/lib.rs", "src/main.rs"]
            .iter()
            .map(|file| format!("{folder}/{file}"))
            .find_map(|path| Some((tree.text(&path)?, path)));
        match head {
            Some((head, _)) if head.starts_with("//! ") => {}
            Some((_, path)) => {
                let what = "the crate has no `//!` docs on its first line".to_owned();
                findings.push(Finding::new(&path, 1, what, "say what it is and is not"));
            }
            None => {
                let what = "no src/lib.rs and no src/main.rs".to_owned();
                findings.push(Finding::new(manifest, 1, what, "remove the folder or fill it"));
            }
        }
        if !takes_lints(text) {
            let what = "the workspace's lints do not apply".to_owned();
            let mend = "add `[lints]` with `workspace = true`";
            findings.push(Finding::new(manifest, 1, what, mend));
        }
    }
    findings
}

fn takes_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines.find(|line| !line.is_empty()) == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    const GOOD: &str = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n";

    fn messages(manifest: &str, head: (&str, &str)) -> Vec<String> {
        let tree = Tree::of(&[("Cargo.toml", ""), ("crates/a/Cargo.toml", manifest), head]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_crate_with_docs_and_lints_passes() {
        assert!(messages(GOOD, ("crates/a/src/lib.rs", "//! Nouns.\n")).is_empty());
        assert!(messages(GOOD, ("crates/a/src/main.rs", "//! A tool.\n")).is_empty());
    }

    #[test]
    fn a_crate_without_docs_lints_or_source_is_found() {
        assert_eq!(
            messages(GOOD, ("crates/a/src/lib.rs", "mod b;\n")),
            [
                "crates/a/src/lib.rs:1: the crate has no `//!` docs on its first line; say what it is \
              and is not"
            ]
        );
        assert_eq!(
            messages("[package]\n[lints]\n[dependencies]\n", ("crates/a/src/lib.rs", "//! B.\n")),
            ["crates/a/Cargo.toml:1: the workspace's lints do not apply; add `[lints]` with \
              `workspace = true`"]
        );
        assert_eq!(messages(GOOD, ("crates/b/src/lib.rs", "")).len(), 1);
    }
}
