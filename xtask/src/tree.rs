use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The files of the repository: tracked by git, or new and not ignored.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<TreeFile>,
}

/// One file.
pub(crate) struct TreeFile {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// `None`: not UTF-8.
    pub(crate) text: Option<String>,
}

/// Whether a path is a Rust file.
pub(crate) fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

impl Tree {
    pub(crate) fn of_repository() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent")?;
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("git ls-files did not start")?;
        if !output.status.success() {
            bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let mut files = Vec::new();
        for path in String::from_utf8(output.stdout)?.split_terminator('\0') {
            // A file that is tracked but deleted in the working tree is not there to be checked.
            if let Ok(bytes) = std::fs::read(root.join(path)) {
                files.push(TreeFile { path: path.to_owned(), text: String::from_utf8(bytes).ok() });
            }
        }
        Ok(Self { root: root.to_owned(), files })
    }

    /// Path and text of every text file.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts().find(|(known, _)| *known == path).map(|(_, text)| text)
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| TreeFile {
                path: (*path).to_owned(),
                text: Some((*text).to_owned()),
            })
            .collect();
        Self { root: PathBuf::new(), files }
    }
}
