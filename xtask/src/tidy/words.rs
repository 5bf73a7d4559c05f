//! Words that must not be in the tree: paths of one machine, and marks of unfinished work.

use crate::finding::Finding;
use crate::tree::{Tree, is_rust};

/// A word and where it is forbidden. The words are split so that this file passes its own rule.
struct Word {
    parts: [&'static str; 2],
    /// In Rust files only.
    rust_only: bool,
    mend: &'static str,
}

const PATH: &str = "write a path relative to the repository";
const UNFINISHED: &str = "finish it or leave it out";

const WORDS: &[Word] = &[
    Word { parts: ["/wo", "rk/"], rust_only: false, mend: PATH },
    Word { parts: ["../sha", "red"], rust_only: false, mend: PATH },
    Word { parts: ["/ho", "me/"], rust_only: false, mend: PATH },
    Word { parts: ["/ro", "ot/"], rust_only: false, mend: PATH },
    Word { parts: ["/Use", "rs/"], rust_only: false, mend: PATH },
    Word { parts: ["FIX", "ME"], rust_only: false, mend: UNFINISHED },
    Word { parts: ["to", "do!("], rust_only: true, mend: UNFINISHED },
    Word { parts: ["unimpl", "emented!("], rust_only: true, mend: UNFINISHED },
    Word { parts: ["#[ign", "ore"], rust_only: true, mend: "make the test run everywhere" },
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let words: Vec<_> = WORDS.iter().map(|word| (word.parts.concat(), word)).collect();
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        let rust = is_rust(path);
        // Recorded bytes are kept as they came.
        if path.starts_with("testdata/") && !path.ends_with("README.md") {
            continue;
        }
        for (spelled, word) in words.iter().filter(|(_, word)| rust || !word.rust_only) {
            for (number, line) in (1..).zip(text.lines()) {
                if has_word(line, spelled) {
                    let what = format!("`{spelled}` is forbidden");
                    findings.push(Finding::new(path, number, what, word.mend));
                }
            }
        }
    }
    findings
}

/// Whether the word is there, not as the tail of a longer one (`/coworker/` is not about `worker/`).
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    })
}

#[cfg(test)]
mod tests {
    use super::{WORDS, check};
    use crate::tree::Tree;

    #[test]
    fn every_word_is_found_where_it_is_forbidden() {
        for word in WORDS {
            let line = format!("ok\n see {}x", word.parts.concat());
            let findings = check(&Tree::of(&[("src/a.rs", &line)]));
            assert_eq!(findings.len(), 1, "{line}");
            assert_eq!((findings[0].path.as_str(), findings[0].line), ("src/a.rs", 2));
            let in_prose = check(&Tree::of(&[("a.md", &line)]));
            assert_eq!(in_prose.is_empty(), word.rust_only, "{line}");
        }
    }

    #[test]
    fn longer_words_and_recorded_bytes_pass() {
        let path = ["/wo", "rk/"].concat();
        let inside = format!("https://example.com{path}");
        let tree = Tree::of(&[("testdata/a.json", path.as_str()), ("a.md", inside.as_str())]);
        assert!(check(&tree).is_empty());
    }
}
