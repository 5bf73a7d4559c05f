use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use turnbench_model::RequestRecord;

use super::RunInput;
use super::control::Control;
use super::dialogue::Dialogues;
use crate::http1::HeadTemplate;

/// What all clients of a run share.
pub(crate) struct Context<'run> {
    pub(crate) input: &'run RunInput,
    pub(crate) control: &'run Control,
    pub(crate) dialogues: Dialogues,
    /// Values of the API key and of custom headers: never to be recorded.
    pub(crate) secrets: Vec<String>,
    /// Head of every request.
    pub(crate) head: HeadTemplate,
    pub(crate) sink: &'run SyncSender<RequestRecord>,
    /// Records that found the channel full.
    pub(crate) sink_waits: AtomicU64,
}

impl Context<'_> {
    /// Hands a record out. A full channel is waited for, and counted.
    pub(crate) fn hand_out(&self, record: RequestRecord) {
        if let Err(TrySendError::Full(record)) = self.sink.try_send(record) {
            self.sink_waits.fetch_add(1, Ordering::Relaxed);
            // The receiver is gone only after a panic of the recorder; the run goes on.
            let _ = self.sink.send(record);
        }
    }
}
