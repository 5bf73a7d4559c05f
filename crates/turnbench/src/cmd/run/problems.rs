use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Context;

/// What went wrong at the end of a run, in words; it does not keep the rest from being done.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    /// Keeps the error of what was tried.
    pub(crate) fn keep(&mut self, result: Result<(), impl Into<anyhow::Error>>) {
        if let Err(error) = result {
            self.push(crate::exit::describe(&error.into()));
        }
    }

    pub(crate) fn push(&mut self, problem: String) {
        self.0.push(problem);
    }

    pub(crate) fn extend(&mut self, problem: Option<String>) {
        self.0.extend(problem);
    }

    pub(crate) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// A file that is written bit by bit. It is given up at the first error.
pub(crate) struct OutputInProgress<W>(Option<W>);

impl<W> OutputInProgress<W> {
    /// Nothing is written without a file.
    pub(crate) fn new(
        opened: Option<Result<W, impl Into<anyhow::Error>>>,
        problems: &mut Problems,
    ) -> Self {
        Self(opened.and_then(|opened| opened.map_err(|error| problems.keep(Err(error))).ok()))
    }

    pub(crate) fn write<E: Into<anyhow::Error>>(
        &mut self,
        problems: &mut Problems,
        write: impl FnOnce(&mut W) -> Result<(), E>,
    ) {
        if let Some(out) = &mut self.0
            && let Err(error) = write(out)
        {
            problems.keep(Err(error));
            self.0 = None;
        }
    }

    /// What was written to, if there were no errors.
    pub(crate) fn into_inner(self) -> Option<W> {
        self.0
    }
}

/// Opens a file for an export, in place of what is there.
pub(crate) fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| cannot_write(path))?))
}

pub(crate) fn cannot_write(path: &Path) -> String {
    format!("cannot write '{}'", path.display())
}
