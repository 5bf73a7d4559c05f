//! Exit codes, decided in one place.

use std::fmt::Display;

/// How the program ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ExitCode {
    /// Everything asked for was done.
    Done = 0,
    /// A goal was missed: fewer than half of the requests completed, no conversation finished while
    /// some failed, or an answer failed its verification.
    GoalMissed = 1,
    /// Bad usage or bad input; nothing was sent.
    Usage = 2,
    /// The server could not be reached.
    Unreachable = 3,
    /// Something that should not happen, or a file that could not be written.
    Internal = 4,
    /// Ctrl-C (128 + SIGINT).
    Interrupted = 130,
}

/// An error that ends the program, with its exit code.
#[derive(Debug)]
pub(crate) struct Exit {
    pub code: ExitCode,
    pub error: anyhow::Error,
}

impl Exit {
    /// Bad usage or input, in words.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { code: ExitCode::Usage, error: anyhow::anyhow!("{message}") }
    }
}

/// Attaches an exit code to any error.
pub(crate) trait WithExitCode<T> {
    fn exit(self, code: ExitCode) -> Result<T, Exit>;

    /// Bad usage or input.
    fn or_usage(self) -> Result<T, Exit>
    where
        Self: Sized,
    {
        self.exit(ExitCode::Usage)
    }
}

impl<T, E: Into<anyhow::Error>> WithExitCode<T> for Result<T, E> {
    fn exit(self, code: ExitCode) -> Result<T, Exit> {
        self.map_err(|error| Exit { code, error: error.into() })
    }
}

impl<E: Into<anyhow::Error>> From<E> for Exit {
    fn from(error: E) -> Self {
        Self { code: ExitCode::Internal, error: error.into() }
    }
}

/// The error and its causes, one line each, as people read it.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let whole = error.to_string();
    let (head, hint) = match whole.split_once("\nhint:") {
        Some((head, hint)) => (head, Some(hint)),
        None => (whole.as_str(), None),
    };
    let mut text = head.to_owned();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    if let Some(hint) = hint {
        text.push_str("\nhint:");
        text.push_str(hint);
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::describe;

    #[test]
    fn causes_come_before_the_hint_and_only_once() {
        let error = std::fs::read("/nonexistent/x").context("cannot read '/x'\nhint: try /y");
        let text = describe(&error.unwrap_err());
        assert_eq!(text, "cannot read '/x': No such file or directory (os error 2)\nhint: try /y");
    }
}
