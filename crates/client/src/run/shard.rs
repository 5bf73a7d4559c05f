use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::Runtime;
use turnbench_model::RequestRecord;

use super::RunInput;
use super::client::run_client;
use super::control::Control;
use super::dialogue::Dialogues;
use crate::http1::HeadTemplate;

/// One thread's part of a run.
pub(crate) struct Shard<'run> {
    pub(crate) input: &'run RunInput,
    pub(crate) control: &'run Control,
    pub(crate) dialogues: &'run Dialogues,
    /// Head of every request.
    pub(crate) head: HeadTemplate,
    pub(crate) sink: SyncSender<RequestRecord>,
    pub(crate) sink_waits: &'run AtomicU64,
}

impl Shard<'_> {
    /// Runs these clients until all are done.
    pub(crate) fn run(&self, runtime: &Runtime, clients: &[u32]) {
        let mut running: FuturesUnordered<_> =
            clients.iter().map(|&client| run_client(self, client)).collect();
        runtime.block_on(async { while running.next().await.is_some() {} });
    }

    /// Hands a record out. A full channel is waited for, and counted.
    pub(crate) fn hand_out(&self, record: RequestRecord) {
        if let Err(TrySendError::Full(record)) = self.sink.try_send(record) {
            self.sink_waits.fetch_add(1, Ordering::Relaxed);
            // The receiver is gone only after a panic of the recorder; the run goes on.
            let _ = self.sink.send(record);
        }
    }
}
