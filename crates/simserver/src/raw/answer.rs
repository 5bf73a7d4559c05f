use turnbench_model::Nanos;
use turnbench_socket::Arrival;

use super::reel::Signature;
use crate::http::Api;
use crate::truth::TruthEntry;

/// What is sent.
#[derive(Debug)]
pub(crate) enum Content {
    /// Events, which the script has.
    Events(Api),
    /// A JSON answer of tokens.
    Whole(Api, Vec<u8>),
    /// Something without tokens.
    Plain(Vec<u8>),
}

/// An answer under way: how far it has come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) content: Content,
    pub(crate) signature: Signature,
    /// Seconds since the Unix epoch.
    pub(crate) created: u64,
    /// All of its tokens.
    pub(crate) tokens: u32,
    pub(crate) prompt_tokens: u32,
    pub(crate) include_usage: bool,
    /// The connection ends with the answer.
    pub(crate) close: bool,
    /// Tokens whose writes are complete.
    pub(crate) written: u32,
    /// Bytes of the write under way that the kernel has taken.
    pub(crate) sent: usize,
    /// When the first token is due.
    pub(crate) first_due: Nanos,
    pub(crate) notes: Notes,
}

/// For the truth.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) arrival: Option<Arrival>,
    pub(crate) x_request_id: Option<Box<str>>,
    pub(crate) x_session_id: Option<Box<str>>,
    /// The same moment as `first_due`; `None` where nothing is paced.
    pub(crate) first_due_unix_ns: Option<u64>,
    pub(crate) first_token_unix_ns: Option<u64>,
    pub(crate) last_token_unix_ns: Option<u64>,
    /// Of a paced stream, its first [`WRITES_MAX`] writes.
    pub(crate) writes_unix_ns: Vec<u64>,
}

/// Writes of one answer that are noted.
const WRITES_MAX: usize = 4096;

impl Notes {
    /// Whether the truth tells of every write: then there is time to note it.
    pub(crate) fn has_writes(&self, content: &Content) -> bool {
        self.first_due_unix_ns.is_some() && matches!(content, Content::Events(_))
    }

    /// Notes a write, if it is not one too many.
    pub(crate) fn add_write(&mut self, unix_ns: u64) {
        if self.writes_unix_ns.len() < WRITES_MAX {
            self.writes_unix_ns.push(unix_ns);
        }
    }
}

impl Answer {
    /// Bytes without tokens.
    pub(crate) fn plain(bytes: Vec<u8>, created: u64, close: bool) -> Self {
        Self {
            content: Content::Plain(bytes),
            signature: Signature::new(0, created),
            created,
            tokens: 0,
            prompt_tokens: 0,
            include_usage: false,
            close,
            written: 0,
            sent: 0,
            first_due: Nanos::ZERO,
            notes: Notes::default(),
        }
    }

    /// The id that its client sees.
    pub(crate) fn id(&self, api: Api) -> String {
        format!("{}raw-{}", api.id_prefix(), self.signature.number())
    }

    /// When the next write is due, if it has a time.
    pub(crate) fn next_due(&self, ttft: Nanos, itl: Nanos) -> Option<Nanos> {
        let (paced, tokens_before) = match self.content {
            Content::Events(_) if self.written == 0 => (ttft > Nanos::ZERO, 0),
            Content::Events(_) => (itl > Nanos::ZERO, self.written),
            Content::Whole(..) => (ttft + itl > Nanos::ZERO, self.tokens - 1),
            Content::Plain(_) => return None,
        };
        paced.then(|| self.first_due + after(itl, tokens_before))
    }

    /// What became of it; `None` without tokens.
    pub(crate) fn truth(&self, itl: Nanos, finish_reason: &'static str) -> Option<TruthEntry> {
        let (api, stream) = match self.content {
            Content::Events(api) => (api, true),
            Content::Whole(api, _) => (api, false),
            Content::Plain(_) => return None,
        };
        let notes = &self.notes;
        let arrival = notes.arrival?;
        let due_after = |tokens| Some(notes.first_due_unix_ns? + after(itl, tokens).0);
        Some(TruthEntry {
            id: self.id(api),
            x_request_id: notes.x_request_id.as_deref().map(str::to_owned),
            x_session_id: notes.x_session_id.as_deref().map(str::to_owned),
            path: api.path(),
            stream,
            arrival_unix_ns: arrival.first_unix_ns,
            received_unix_ns: arrival.last_unix_ns,
            arrival_source: arrival.source,
            first_token_unix_ns: notes.first_token_unix_ns,
            last_token_unix_ns: notes.last_token_unix_ns,
            first_token_due_unix_ns: due_after(0),
            last_token_due_unix_ns: due_after(self.tokens - 1),
            writes_unix_ns: notes.writes_unix_ns.clone(),
            prompt_tokens: self.prompt_tokens,
            cached_tokens: (self.written == self.tokens).then_some(0),
            tiers: None,
            output_tokens: self.written,
            finish_reason,
        })
    }
}

/// The time that many tokens take.
fn after(itl: Nanos, tokens: u32) -> Nanos {
    Nanos(itl.0.saturating_mul(u64::from(tokens)))
}
