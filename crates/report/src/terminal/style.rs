use anstyle::{AnsiColor, Style};

/// How the reference-compatible text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReferenceStyle {
    /// Headings in yellow.
    pub color: bool,
}

impl ReferenceStyle {
    /// A line of text, as a heading.
    pub(crate) fn heading(self, text: &str) -> String {
        if self.color {
            let yellow = Style::new().fg_color(Some(AnsiColor::BrightYellow.into()));
            format!("{yellow}{text}{yellow:#}\n")
        } else {
            format!("{text}\n")
        }
    }

    /// A line of dashes.
    #[expect(clippy::unused_self, reason = "a part of the look like the others")]
    pub(crate) fn rule(self) -> String {
        format!("{}\n", "-".repeat(100))
    }
}
