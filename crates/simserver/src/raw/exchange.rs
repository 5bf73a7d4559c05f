use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;

use nix::sys::epoll::EpollFlags;
use turnbench_model::{Clock, Nanos, StampSource};
use turnbench_socket::receive;

use super::answer::{Answer, Content, Notes};
use super::connection::Connection;
use super::connections::{Connections, Place};
use super::fields::FieldFinder;
use super::options::RawOptions;
use super::reel::Signature;
use super::replies::{MODEL_LEN, Replies};
use super::request::{BadRequest, Progress, RawRequest, Route};
use super::schedule::Schedule;
use super::script::Script;
use super::truths::Truths;
use crate::truth::TruthLog;

/// Bytes of one read at most.
const READ_BYTES_MAX: usize = 64 << 10;
/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// All connections, what is being answered on them, and what is needed for it.
pub(crate) struct Exchanges {
    options: RawOptions,
    clock: Arc<dyn Clock>,
    connections: Connections,
    schedule: Schedule,
    script: Script,
    replies: Replies,
    finder: FieldFinder,
    truths: Option<Truths>,
    /// The number of the latest answer.
    answers_count: u64,
    /// All reads go here first.
    buffer: Box<[u8]>,
}

impl std::fmt::Debug for Exchanges {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Exchanges").field("options", &self.options).finish_non_exhaustive()
    }
}

/// How far a write came.
enum Written {
    /// All of it.
    All,
    /// The kernel takes no more.
    Part,
    /// The client is gone.
    Gone,
}

impl Exchanges {
    /// No connection yet.
    pub(crate) fn new(options: RawOptions, truth: Option<TruthLog>, clock: Arc<dyn Clock>) -> Self {
        let (model, version) = (&options.served_model_name, &options.version);
        let fingerprint = format!("vllm-{version}");
        Self {
            connections: Connections::default(),
            schedule: Schedule::default(),
            script: Script::new(model, &fingerprint, options.events_per_write),
            replies: Replies::new(model, &fingerprint, version),
            finder: FieldFinder::new(),
            truths: truth.map(Truths::new),
            answers_count: 0,
            buffer: vec![0; READ_BYTES_MAX].into_boxed_slice(),
            clock,
            options,
        }
    }

    /// The place of the next connection.
    pub(crate) fn next_place(&self) -> Place {
        self.connections.next_place()
    }

    /// Takes a connection on.
    pub(crate) fn open(&mut self, stream: TcpStream) {
        self.connections.insert(Connection::new(stream));
    }

    /// Whether something can be written at once.
    pub(crate) fn wants_to_write(&self) -> bool {
        self.schedule.is_ready()
    }

    /// When the next write is due.
    pub(crate) fn next_due(&self) -> Option<Nanos> {
        self.schedule.next_due()
    }

    /// Whether the truth is not all written, and nothing streams.
    pub(crate) fn has_truth_to_write(&self) -> bool {
        self.schedule.is_empty() && self.truths.as_ref().is_some_and(Truths::is_waiting)
    }

    /// No socket had anything for a while.
    pub(crate) fn note_pause(&mut self) {
        if self.schedule.is_empty()
            && let Some(truths) = &mut self.truths
        {
            truths.flush();
        }
    }

    /// Cuts everything off.
    pub(crate) fn end(&mut self) {
        for mut connection in self.connections.drain() {
            if let (Some(truths), Some(answer)) = (&mut self.truths, connection.answer.take()) {
                truths.keep(answer.truth(self.options.itl, "abort"));
            }
        }
        if let Some(truths) = &mut self.truths {
            truths.flush();
        }
    }

    /// Writes what is due or ready, up to `writes_max` times.
    pub(crate) fn write_some(&mut self, writes_max: usize) {
        let now = self.schedule.next_due().map_or(Nanos::ZERO, |_| self.clock.now());
        for _ in 0..writes_max {
            let Some(place) = self.schedule.take(now) else { break };
            self.write(place);
        }
        if let Some(truths) = &mut self.truths {
            truths.relieve();
        }
    }

    /// What epoll says of a connection.
    pub(crate) fn take_event(&mut self, place: Place, flags: EpollFlags) {
        let Some(connection) = self.connections.find(place) else { return };
        let gone = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        if flags.intersects(gone) {
            connection.peer_closed = true;
            if connection.answer.is_some() {
                // As vLLM does: a client that sends no more wants no more.
                return self.close(place);
            }
        }
        if flags.contains(EpollFlags::EPOLLOUT) && connection.blocked {
            connection.blocked = false;
            self.schedule.add(place, None);
        }
        if flags.intersects(EpollFlags::EPOLLIN | gone) {
            if let Some(connection) = self.connections.find(place) {
                connection.readable = true;
            }
            self.read(place);
        }
    }

    /// Reads until there is a request or nothing more to read.
    fn read(&mut self, place: Place) {
        while let Some(connection) = self.connections.find(place) {
            if connection.answer.is_some() || !connection.readable {
                return;
            }
            let len = match receive(&connection.stream, &mut self.buffer) {
                Ok(receipt) if receipt.len == 0 => return self.close(place),
                Ok(receipt) => {
                    // A read that leaves room has left nothing behind, but perhaps the end.
                    connection.readable =
                        receipt.len == self.buffer.len() || connection.peer_closed;
                    match receipt.kernel_ns {
                        Some(at) => connection.arrived(at, StampSource::Kernel),
                        None => connection.arrived(self.clock.unix_ns(), StampSource::User),
                    }
                    receipt.len
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.close(place),
            };
            let progress = connection.reader.push(&self.buffer[..len], &self.finder);
            self.go_on(place, progress);
        }
    }

    fn go_on(&mut self, place: Place, progress: Result<Progress, BadRequest>) {
        let Some(connection) = self.connections.find(place) else { return };
        let answer = match progress {
            Ok(Progress::More) => return,
            Ok(Progress::Continue) => {
                // Fits into any socket: nothing has been written since the last answer.
                let _ = (&connection.stream).write(b"HTTP/1.1 100 Continue\r\n\r\n");
                return;
            }
            Ok(Progress::Request(request)) => self.answer(place, request),
            Err(reason) => {
                let second = self.clock.unix_ns() / SECOND;
                Some(Answer::plain(self.replies.refusal(reason, second), second, true))
            }
        };
        let Some(answer) = answer else { return };
        let due = answer.next_due(self.options.ttft, self.options.itl);
        if let Some(connection) = self.connections.find(place) {
            connection.answer = Some(answer);
            self.schedule.add(place, due);
        }
    }

    /// The answer to a request that has just been read.
    fn answer(&mut self, place: Place, request: RawRequest) -> Option<Answer> {
        let arrival = self.connections.find(place)?.take_arrival();
        let (unix_ns, now) = (self.clock.unix_ns(), self.clock.now());
        let created = unix_ns / SECOND;
        let Route::Generate(api) = request.route else {
            let bytes = self.replies.plain(request.route, created, request.close);
            return Some(Answer::plain(bytes, created, request.close));
        };
        self.answers_count += 1;
        let RawOptions { tokens, ttft, itl, .. } = self.options;
        let received = arrival.map_or(unix_ns, |arrival| arrival.last_unix_ns);
        // A wall clock that was set meanwhile must not put the answer into the future.
        let waited = Nanos(unix_ns).since(Nanos(received));
        let fields = request.fields;
        let mut answer = Answer {
            content: Content::Events(api),
            signature: Signature::new(self.answers_count, created),
            tokens: fields.tokens.unwrap_or(tokens).min(MODEL_LEN),
            prompt_tokens: fields.prompt_tokens,
            include_usage: fields.include_usage,
            first_due: now.since(waited) + ttft,
            notes: Notes {
                arrival,
                x_request_id: request.x_request_id,
                x_session_id: request.x_session_id,
                first_due_unix_ns: (ttft + itl > Nanos::ZERO)
                    .then(|| unix_ns.saturating_sub(waited.0) + ttft.0),
                ..Notes::default()
            },
            ..Answer::plain(Vec::new(), created, request.close)
        };
        if !fields.stream {
            let bytes = self.replies.answer(api, &answer);
            answer.content = Content::Whole(api, bytes);
        }
        Some(answer)
    }

    /// Makes the connection's next write.
    fn write(&mut self, place: Place) {
        let Some(connection) = self.connections.find(place) else { return };
        let Some(answer) = &mut connection.answer else { return };
        let (bytes, tokens) = match &answer.content {
            Content::Events(api) => self.script.next_write(*api, answer, &mut self.replies),
            Content::Whole(_, bytes) => (&bytes[..], answer.tokens),
            Content::Plain(bytes) => (&bytes[..], 0),
        };
        let (first, last) = (answer.written == 0, answer.written + tokens == answer.tokens);
        // At full speed only the first and the last write of an answer are noted.
        let all_noted = self.truths.is_some() && answer.notes.has_writes(&answer.content);
        let noted = all_noted || (self.truths.is_some() && (first || last));
        let (mut sent, mut first_at, mut last_at) = (answer.sent, None, None);
        let written = loop {
            let before = if noted { self.clock.unix_ns() } else { 0 };
            match (&connection.stream).write(&bytes[sent..]) {
                Ok(0) => break Written::Gone,
                Ok(len) => {
                    if sent == 0 {
                        first_at = Some(before);
                    }
                    last_at = Some(before);
                    sent += len;
                    if sent == bytes.len() {
                        break Written::All;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Written::Part,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break Written::Gone,
            }
        };
        if noted {
            if first {
                answer.notes.first_token_unix_ns = answer.notes.first_token_unix_ns.or(first_at);
            }
            if last {
                answer.notes.last_token_unix_ns = last_at.or(answer.notes.last_token_unix_ns);
            }
            if let (true, Written::All, Some(at)) = (all_noted, &written, last_at) {
                answer.notes.add_write(at);
            }
        }
        answer.sent = sent;
        match written {
            Written::Gone => self.close(place),
            Written::Part => connection.blocked = true,
            Written::All => {
                answer.sent = 0;
                answer.written += tokens;
                if last {
                    self.finish(place);
                } else {
                    let due = answer.next_due(self.options.ttft, self.options.itl);
                    self.schedule.add(place, due);
                }
            }
        }
    }

    /// An answer has been handed over.
    fn finish(&mut self, place: Place) {
        let Some(connection) = self.connections.find(place) else { return };
        let Some(answer) = connection.answer.take() else { return };
        let progress = connection.reader.push(&[], &self.finder);
        if let Some(truths) = &mut self.truths {
            truths.keep(answer.truth(self.options.itl, "length"));
        }
        if answer.close {
            return self.close(place);
        }
        self.go_on(place, progress);
        self.read(place);
    }

    fn close(&mut self, place: Place) {
        let Some(mut connection) = self.connections.remove(place) else { return };
        if let (Some(truths), Some(answer)) = (&mut self.truths, connection.answer.take()) {
            truths.keep(answer.truth(self.options.itl, "abort"));
        }
    }
}
