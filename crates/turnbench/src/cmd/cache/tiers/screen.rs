use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use turnbench_model::Nanos;

/// Time between two plain progress lines.
const LINE_INTERVAL: Nanos = Nanos::from_millis(5_000);

/// How far the probing is, on standard error: one line that changes on a terminal, a line every five
/// seconds otherwise.
pub(crate) struct Screen {
    spinner: Option<ProgressBar>,
    next_line: Nanos,
}

impl Screen {
    /// A screen on which nothing was said yet.
    pub(crate) fn start(now: Nanos) -> Self {
        let spinner = std::io::stderr().is_terminal().then(spinner);
        Self { spinner, next_line: now + LINE_INTERVAL }
    }

    /// Shows what is going on.
    pub(crate) fn show(&mut self, now: Nanos, text: impl Fn() -> String) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(text());
        } else if now >= self.next_line {
            self.next_line = now + LINE_INTERVAL;
            anstream::eprintln!("{}", text());
        }
    }

    /// Says something above it.
    pub(crate) fn say(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| anstream::eprintln!("{text}")),
            None => anstream::eprintln!("{text}"),
        }
    }

    /// Takes the line away.
    pub(crate) fn end(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

fn spinner() -> ProgressBar {
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}
