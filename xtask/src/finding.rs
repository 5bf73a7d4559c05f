use std::fmt;

/// A place where the tree breaks a house rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    /// Relative to the repository root.
    pub(crate) path: String,
    /// From 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// How to mend it.
    pub(crate) mend: &'static str,
    /// Shown, but not counted.
    pub(crate) warning: bool,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: String, mend: &'static str) -> Self {
        Self { path: path.to_owned(), line, what, mend, warning: false }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, mend, warning } = self;
        let level = if *warning { "warning: " } else { "" };
        write!(formatter, "{path}:{line}: {level}{what}; {mend}")
    }
}
