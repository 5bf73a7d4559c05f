//! No Rust file over 600 lines; over 400 wants a split.

use crate::finding::Finding;
use crate::tree::{Tree, is_rust};

const LINES_MAX: usize = 600;
const LINES_WARN: usize = 400;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.texts()
        .filter(|(path, _)| is_rust(path))
        .filter_map(|(path, text)| {
            let lines = text.lines().count();
            let what = format!("{lines} lines, at most {LINES_MAX} are allowed");
            let finding = Finding::new(path, lines, what, "move one of its nouns to its own file");
            (lines > LINES_WARN).then_some(Finding { warning: lines <= LINES_MAX, ..finding })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    #[test]
    fn a_file_is_warned_about_from_401_lines_and_fails_from_601() {
        for (lines, expect) in
            [(400, None), (401, Some(true)), (600, Some(true)), (601, Some(false))]
        {
            let text = "\n".repeat(lines);
            let findings = check(&Tree::of(&[("a.rs", &text), ("a.json", &"\n".repeat(999))]));
            assert_eq!(findings.first().map(|f| f.warning), expect, "{lines}");
            assert!(findings.len() < 2);
        }
    }
}
