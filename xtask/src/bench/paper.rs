use std::io::{self, Write};

/// What the benchmark says: each part goes to stdout as soon as it is there, and is kept for the
/// document.
#[derive(Debug, Default)]
pub(crate) struct Paper {
    text: String,
}

impl Paper {
    /// Adds a part, a paragraph of its own.
    ///
    /// # Errors
    /// When stdout is closed.
    pub(crate) fn put(&mut self, part: &str) -> io::Result<()> {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        let part = format!("{gap}{}\n", part.trim_end());
        let mut out = io::stdout().lock();
        out.write_all(part.as_bytes())?;
        out.flush()?;
        self.text.push_str(&part);
        Ok(())
    }

    /// All parts.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}
