use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use turnbench_model::{Clock, Nanos};

use super::progress::Progress;

/// Time between two plain progress lines.
const LINE_INTERVAL: Nanos = Nanos::from_millis(5_000);
/// Messages that may wait for a slow terminal.
const WAITING_MAX: usize = 1_024;

/// What is on standard error while a run goes: a bar on a terminal, a line every five seconds
/// otherwise, and what is worth saying above it.
///
/// A thread of its own writes it, so that a terminal that stands still (Ctrl-S, a full pipe) never
/// holds up the recorder; what it has no room for is left out, and counted.
pub(crate) struct Screen {
    sender: SyncSender<Shown>,
    thread: JoinHandle<()>,
    left_out: u64,
}

/// One change of the screen.
enum Shown {
    Progress(Progress),
    Text(String),
}

impl Screen {
    /// A screen that shows `progress`.
    pub(crate) fn start(progress: Progress, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || show(&receiver, progress, &*clock))?;
        Ok(Self { sender, thread, left_out: 0 })
    }

    /// Shows how far the run is.
    pub(crate) fn progress(&self, progress: Progress) {
        // What is left out here the next one tells.
        let _ = self.sender.try_send(Shown::Progress(progress));
    }

    /// Says something.
    pub(crate) fn say(&mut self, text: String) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Shown::Text(text)) {
            self.left_out += 1;
        }
    }

    /// Waits until everything is written, and takes the bar away.
    pub(crate) fn end(self) {
        drop(self.sender);
        let _ = self.thread.join();
        if self.left_out > 0 {
            anstream::eprintln!("({} messages were left out here)", self.left_out);
        }
    }
}

fn show(receiver: &Receiver<Shown>, mut progress: Progress, clock: &dyn Clock) {
    let bar = std::io::stderr().is_terminal().then(|| bar(progress.planned()));
    let mut next_line = clock.now() + LINE_INTERVAL;
    loop {
        let wait = Duration::from_nanos(next_line.since(clock.now()).0);
        match receiver.recv_timeout(wait) {
            Ok(Shown::Progress(now)) => progress = now,
            Ok(Shown::Text(text)) => match &bar {
                Some(bar) => bar.suspend(|| anstream::eprintln!("{text}")),
                None => anstream::eprintln!("{text}"),
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let now = clock.now();
        if let Some(bar) = &bar {
            bar.set_length(progress.planned());
            bar.set_position(progress.done());
            bar.set_message(progress.text(now));
        }
        if now >= next_line {
            next_line = now + LINE_INTERVAL;
            if bar.is_none() {
                let (done, planned) = (progress.done(), progress.planned());
                anstream::eprintln!("{done}/{planned} requests, {}", progress.text(now));
            }
        }
    }
    if let Some(bar) = &bar {
        bar.finish_and_clear();
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
