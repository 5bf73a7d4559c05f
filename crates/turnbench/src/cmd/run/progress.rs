use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use turnbench_model::{Nanos, RequestRecord};

/// Time between two plain progress lines.
const LINE_INTERVAL: Nanos = Nanos::from_millis(5_000);

/// Progress on stderr: a bar on a terminal, a line every five seconds otherwise.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    planned: u64,
    started: Nanos,
    completed: u64,
    failed: u64,
    ttft_ms: Average,
    tpot_ms: Average,
    next_line: Nanos,
}

impl Progress {
    /// Progress towards `planned` requests, from `now` on.
    pub(crate) fn start(planned: u64, now: Nanos) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(planned));
        Self {
            bar,
            planned,
            started: now,
            completed: 0,
            failed: 0,
            ttft_ms: Average::default(),
            tpot_ms: Average::default(),
            next_line: now + LINE_INTERVAL,
        }
    }

    /// Takes in a record.
    pub(crate) fn record(&mut self, record: &RequestRecord) {
        if !record.last_attempt {
            return;
        }
        if record.outcome.is_completed() {
            self.completed += 1;
            let stamps = &record.stamps;
            if let (Some(sent), Some(first), Some(last)) =
                (stamps.sent_ns, stamps.first_token, stamps.last_token)
            {
                self.ttft_ms.add(first.at_ns.since(sent).as_millis_f64());
                let chunks = record.answer.chunks_ns.len();
                if chunks > 1 {
                    let span = last.at_ns.since(first.at_ns).as_millis_f64();
                    self.tpot_ms.add(span / (chunks - 1) as f64);
                }
            }
        } else {
            self.failed += 1;
        }
        let now = record.stamps.end.map_or(Nanos::ZERO, |end| end.read_ns);
        self.show(now);
    }

    fn show(&mut self, now: Nanos) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.completed + self.failed);
            bar.set_message(self.message(now));
        } else if now >= self.next_line {
            self.next_line = now + LINE_INTERVAL;
            let done = self.completed + self.failed;
            anstream::eprintln!("{done}/{} requests, {}", self.planned, self.message(now));
        }
    }

    /// Rate, time left, and what is measured just now.
    fn message(&self, now: Nanos) -> String {
        let done = self.completed + self.failed;
        let rate = done as f64 / now.since(self.started).as_secs_f64().max(f64::MIN_POSITIVE);
        let left = self.planned.saturating_sub(done) as f64 / rate;
        let mut text = format!(
            "{rate:.1}/s, {left:.0} s left, TTFT {} ms, TPOT {} ms",
            self.ttft_ms.text(),
            self.tpot_ms.text()
        );
        if self.failed > 0 {
            let _ = write!(text, ", {} failed", self.failed);
        }
        text
    }

    /// Says something above the bar.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| anstream::eprintln!("{text}")),
            None => anstream::eprintln!("{text}"),
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
    let style = ProgressStyle::with_template("{bar:16} {pos}/{len} requests, {wide_msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A moving average that forgets slowly, for people to watch; no result comes from it.
#[derive(Default)]
struct Average {
    value: Option<f64>,
}

impl Average {
    fn add(&mut self, sample: f64) {
        const WEIGHT: f64 = 0.05;
        self.value = Some(self.value.map_or(sample, |value| value + WEIGHT * (sample - value)));
    }

    fn text(&self) -> String {
        self.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
    }
}
