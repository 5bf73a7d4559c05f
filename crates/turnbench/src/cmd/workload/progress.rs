use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use turnbench_model::{Clock, MonotonicClock, Nanos};

/// Time between two plain progress lines.
const LINE_INTERVAL: Nanos = Nanos::from_millis(5_000);

/// How many conversations are through, on standard error: a bar on a terminal, a line every five
/// seconds otherwise.
pub(crate) struct Progress {
    clock: MonotonicClock,
    bar: Option<ProgressBar>,
    planned: u64,
    done: AtomicU64,
    /// When the next plain line is due.
    next_line: AtomicU64,
}

impl Progress {
    pub(crate) fn start(planned: u64) -> Self {
        let clock = MonotonicClock::start();
        let bar = std::io::stderr().is_terminal().then(|| bar(planned));
        let next_line = AtomicU64::new((clock.now() + LINE_INTERVAL).0);
        Self { clock, bar, planned, done: AtomicU64::new(0), next_line }
    }

    /// Counts a conversation; may be called from any thread.
    pub(crate) fn one(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
            return;
        }
        let (now, due) = (self.clock.now(), self.next_line.load(Ordering::Relaxed));
        let next = (now + LINE_INTERVAL).0;
        // Of several threads that find the line due one writes it.
        if now.0 >= due
            && self
                .next_line
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            anstream::eprintln!("{done}/{} conversations", self.planned);
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(planned: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(planned), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{bar:16} {pos}/{len} conversations, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
