use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use turnbench_model::StampSource;

use crate::error::Error;
use crate::telemetry::Snapshot;

/// What the server knows about one request, for checking clients. One JSON line each; times in
/// nanoseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TruthEntry {
    /// The id in the answer.
    pub(crate) id: String,
    pub(crate) x_request_id: Option<String>,
    pub(crate) x_session_id: Option<String>,
    pub(crate) path: &'static str,
    pub(crate) stream: bool,
    /// The first byte's arrival.
    pub(crate) arrival_unix_ns: u64,
    /// The last byte's arrival: from then on the engine has the request.
    pub(crate) received_unix_ns: u64,
    /// Who stamped the arrivals.
    pub(crate) arrival_source: StampSource,
    /// Just before the first token was handed to the kernel; of a plain answer, before all of it.
    pub(crate) first_token_unix_ns: Option<u64>,
    /// The same for the last token.
    pub(crate) last_token_unix_ns: Option<u64>,
    /// When the simulated engine made the first token.
    pub(crate) first_token_due_unix_ns: Option<u64>,
    /// When the simulated engine made the last token.
    pub(crate) last_token_due_unix_ns: Option<u64>,
    /// Just before each write of a paced raw stream; of a long one, the first writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) writes_unix_ns: Vec<u64>,
    pub(crate) prompt_tokens: u32,
    /// `None` when the client went away before the end.
    pub(crate) cached_tokens: Option<u32>,
    #[serde(flatten)]
    pub(crate) tiers: Option<TierTokens>,
    pub(crate) output_tokens: u32,
    /// `abort` when the client went away.
    pub(crate) finish_reason: &'static str,
}

/// Where the prompt's tokens came from, on a server with tiers; absent if the client went away.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TierTokens {
    /// `device` and each tier.
    pub(crate) cached_tokens_by_tier: BTreeMap<&'static str, u32>,
    pub(crate) computed_tokens: u32,
    /// From the start of the first load to the end of the last.
    pub(crate) load_ns: u64,
}

/// The last line, on a server with tiers: what each of them was, and did in all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TierTruths {
    /// Tokens of a block.
    pub(crate) block_size: u32,
    pub(crate) block_bytes: u64,
    /// The device, then the tiers, nearest first.
    pub(crate) tiers: Vec<TierTruth>,
}

/// One tier. Of the device only its size is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TierTruth {
    pub(crate) tier: &'static str,
    pub(crate) capacity_blocks: u64,
    #[serde(flatten)]
    pub(crate) moved: Option<TierMoved>,
}

/// What a tier did. Bytes and times are those of transfers that ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TierMoved {
    pub(crate) held_blocks: u64,
    pub(crate) evicted_blocks: u64,
    pub(crate) refused_stores: u64,
    pub(crate) loaded_bytes: u64,
    pub(crate) load_ns: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) store_ns: u64,
}

impl TierTruths {
    /// From the engine's own figures.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let options = &snapshot.options;
        let capacity_blocks = u64::from(options.kv_blocks.saturating_sub(1));
        let device = TierTruth { tier: DEVICE, capacity_blocks, moved: None };
        let behind = snapshot.tiers.iter().map(|tier| TierTruth {
            tier: tier.kind.name(),
            capacity_blocks: tier.capacity_blocks,
            moved: Some(TierMoved {
                held_blocks: tier.held_blocks,
                evicted_blocks: tier.evicted_blocks,
                refused_stores: tier.refused_stores,
                loaded_bytes: tier.loads.bytes,
                load_ns: tier.loads.busy_ns.0,
                stored_bytes: tier.stores.bytes,
                store_ns: tier.stores.busy_ns.0,
            }),
        });
        Self {
            block_size: options.block_size,
            block_bytes: options.block_bytes(),
            tiers: std::iter::once(device).chain(behind).collect(),
        }
    }
}

/// The device's name among the tiers.
pub(crate) const DEVICE: &str = "device";

/// The file of [`TruthEntry`] lines. The simulated server writes every line at once: killed, it
/// loses at most the last one.
#[derive(Debug)]
pub(crate) struct TruthLog {
    file: Mutex<File>,
}

impl TruthLog {
    /// Creates the file, or empties it.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn create(path: PathBuf) -> Result<Self, Error> {
        match File::create(&path) {
            Ok(file) => Ok(Self { file: Mutex::new(file) }),
            Err(source) => Err(Error::Truth { path, source }),
        }
    }

    /// Writes lines in one go.
    pub(crate) fn write_all(&self, entries: impl Iterator<Item = impl Serialize>) {
        let mut lines = Vec::new();
        for entry in entries {
            // Numbers and strings: there is nothing that could not be written.
            if serde_json::to_writer(&mut lines, &entry).is_ok() {
                lines.push(b'\n');
            }
        }
        // A full disk must not end the simulation; the missing lines are noticed by their reader.
        let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&lines);
    }
}

/// Notes when the tokens of a connection's current answer are handed to the kernel. Shared between
/// the answer's body, which says what is coming, and the stream below it, which writes.
#[derive(Debug, Default)]
pub(crate) struct WriteWatch {
    log: Option<Arc<TruthLog>>,
    first_awaited: AtomicBool,
    last_awaited: AtomicBool,
    first_unix_ns: AtomicU64,
    last_unix_ns: AtomicU64,
    /// Complete but for the moment of its last write.
    entry: Mutex<Option<TruthEntry>>,
}

impl WriteWatch {
    /// Watches for `log`; without one nothing is noted.
    pub(crate) fn new(log: Option<Arc<TruthLog>>) -> Self {
        Self { log, ..Self::default() }
    }

    /// Whether anybody wants to know.
    pub(crate) fn is_on(&self) -> bool {
        self.log.is_some()
    }

    /// A new answer begins.
    pub(crate) fn begin(&self) {
        self.first_unix_ns.store(0, Ordering::Relaxed);
        self.last_unix_ns.store(0, Ordering::Relaxed);
        self.first_awaited.store(false, Ordering::Relaxed);
        self.last_awaited.store(false, Ordering::Relaxed);
    }

    /// The next write carries tokens.
    pub(crate) fn tokens_coming(&self, first: bool) {
        if first {
            self.first_awaited.store(true, Ordering::Relaxed);
        }
        self.last_awaited.store(true, Ordering::Relaxed);
    }

    /// The answer is complete once the tokens announced are written.
    pub(crate) fn complete(&self, entry: TruthEntry) {
        *self.entry.lock().unwrap_or_else(PoisonError::into_inner) = Some(entry);
    }

    /// The answer ends here, whatever has been written.
    pub(crate) fn cut(&self, entry: TruthEntry) {
        self.complete(entry);
        self.flush();
    }

    /// Bytes were handed to the kernel; `unix_ns` reads the clock as it was just before.
    pub(crate) fn wrote(&self, unix_ns: u64) {
        if !self.last_awaited.swap(false, Ordering::Relaxed) {
            return;
        }
        self.last_unix_ns.store(unix_ns, Ordering::Relaxed);
        if self.first_awaited.swap(false, Ordering::Relaxed) {
            self.first_unix_ns.store(unix_ns, Ordering::Relaxed);
        }
        self.flush();
    }

    fn flush(&self) {
        let entry = self.entry.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(mut entry), Some(log)) = (entry, &self.log) else { return };
        let read = |at: &AtomicU64| Some(at.load(Ordering::Relaxed)).filter(|&at| at != 0);
        entry.first_token_unix_ns = read(&self.first_unix_ns);
        entry.last_token_unix_ns = read(&self.last_unix_ns);
        log.write_all(std::iter::once(entry));
    }
}
