use std::io;
use std::path::{Path, PathBuf};

/// A run directory could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// The directory is there already and has files in it.
    #[error(
        "--run-dir: '{}' exists and is not empty\nhint: name a new directory, or none for no files",
        path.display()
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The directory cannot be made.
    #[error("--run-dir: cannot create '{}'", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
    /// There is nothing.
    #[error(
        "there is no directory '{}'\nhint: name a directory that turnbench run wrote",
        path.display()
    )]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// The path holds no run.
    #[error(
        "'{}' is not a run directory: it has no {file}\nhint: name a directory that turnbench run wrote",
        path.display()
    )]
    NotARun {
        /// The directory.
        path: PathBuf,
        /// The file that every run directory has.
        file: &'static str,
    },
    /// The operating system refused.
    #[error("cannot {action} '{}'", path.display())]
    Io {
        /// What was tried: "create", "write", "read", "remove".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("'{}' line {line} is not what turnbench writes there", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line within it, from 1.
        line: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
}

impl RunDirError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
