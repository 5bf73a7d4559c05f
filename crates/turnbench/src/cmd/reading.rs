use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use turnbench_workload::ReadState;

/// How often the bar is looked after; a file that is read in less never has one.
const INTERVAL: Duration = Duration::from_millis(300);

/// How far a file has been read, as a bar on a terminal's standard error; taken away when dropped.
pub(crate) struct Reading {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reading {
    /// Begins to show it. Nothing is shown where nobody looks, or where the size is not known.
    pub(crate) fn show(state: Arc<ReadState>) -> Self {
        if !std::io::stderr().is_terminal() || state.size_bytes() == 0 {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("reading".to_owned()).spawn(move || {
            let mut bar = None;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
                let bar: &mut ProgressBar = bar.get_or_insert_with(|| new_bar(state.size_bytes()));
                bar.set_position(state.read_bytes());
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        });
        Self { stop: Some(stop), thread: thread.ok() }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only draws; a panic of it is nobody's concern.
            let _ = thread.join();
        }
    }
}

fn new_bar(size_bytes: u64) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target(Some(size_bytes), target);
    let template = "reading {bar:16} {bytes}/{total_bytes}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
