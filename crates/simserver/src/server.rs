use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use turnbench_model::{ChatTemplate, Clock, Tokenizer};
use turnbench_socket::StampedStream;

use crate::connection::WatchedStream;
use crate::driver::{Driver, EngineHandle};
use crate::engine::{AnswerOptions, Engine};
use crate::error::Error;
use crate::http::{self, Connection, Service};
use crate::ids::IdSource;
use crate::options::ServerOptions;
use crate::prompt::Prompts;
use crate::truth::{TierTruths, TruthLog, WriteWatch};
use crate::vocabulary::Vocabulary;

/// Connections that wait to be accepted: thousands of clients may start at once.
const BACKLOG: i32 = 4096;
/// How long nobody is accepted after that failed, mostly for lack of a file descriptor.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Threads for long tokenizations.
const BLOCKING_THREADS_MAX: usize = 2;
/// Task turns between two looks at sockets and timer. tokio's 61 let a burst of new requests, each
/// tokenized in its turn, hold up a due step for milliseconds.
const EVENT_INTERVAL: u32 = 8;

/// A simulated server that listens and does not answer yet.
pub struct Server {
    listener: StdListener,
    local_addr: SocketAddr,
    service: Arc<Service>,
    driver: Driver,
    truth: Option<Arc<TruthLog>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let options = &self.service.options;
        formatter
            .debug_struct("Server")
            .field("local_addr", &self.local_addr)
            .field("options", options)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Checks the options, creates the truth file and listens on `addr`; port 0 is any free one.
    ///
    /// `clock` must run in real time. Without a `template` a built-in one renders chats. Looks through
    /// the tokenizer's vocabulary for words to answer with: up to a second for large ones.
    ///
    /// # Errors
    /// When an option cannot work, the truth file cannot be created, the tokenizer has nothing to
    /// answer with, or the address cannot be listened on.
    pub fn bind(
        addr: SocketAddr,
        options: ServerOptions,
        tokenizer: Arc<dyn Tokenizer>,
        template: Option<Arc<dyn ChatTemplate>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        options.validate()?;
        let listener = listen(addr)?;
        let local_addr = listener.local_addr().map_err(|source| Error::Bind { addr, source })?;
        let truth = options.truth.clone().map(TruthLog::create).transpose()?.map(Arc::new);
        let vocabulary = Arc::new(Vocabulary::find(&*tokenizer));
        if vocabulary.ids().is_empty() {
            return Err(Error::NoAnswerTokens);
        }
        let (driver, engine) =
            Driver::new(Engine::new(options.engine.clone())?, Arc::clone(&clock));
        let prompts = Arc::new(Prompts::new(tokenizer, template));
        let service = Arc::new(service(options, engine, prompts, vocabulary, clock));
        Ok(Self { listener, local_addr, service, driver, truth })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers until `shutdown` is ready; then connections are closed at once. Must run on a tokio
    /// runtime with I/O and time turned on; one thread is enough.
    ///
    /// # Errors
    /// When the runtime refuses the listener or a timer.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let listener = TcpListener::from_std(self.listener).map_err(Error::Runtime)?;
        let mut driver = pin!(self.driver.run());
        let mut shutdown = pin!(shutdown);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                ended = &mut driver => return ended.map_err(Error::Runtime),
                Some(_) = connections.join_next() => {}
                stream = accept(&listener) => {
                    let watch = Arc::new(WriteWatch::new(self.truth.clone()));
                    connections.spawn(connection(Arc::clone(&self.service), watch, stream));
                }
            }
        }
        if let Some(truth) = self.truth.filter(|_| !self.service.tiers.is_empty()) {
            // First the lines of requests that end here.
            connections.shutdown().await;
            tokio::select! {
                ended = &mut driver => return ended.map_err(Error::Runtime),
                snapshot = self.service.engine.snapshot() => {
                    truth.write_all(snapshot.iter().map(TierTruths::of));
                }
            }
        }
        Ok(())
    }

    /// [`Self::serve`] on this thread, with a runtime made for it.
    ///
    /// # Errors
    /// As [`Self::serve`], and when there is no runtime to be had.
    pub fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        runtime()?.block_on(self.serve(shutdown))
    }

    /// [`Self::serve`] on a thread of its own.
    ///
    /// # Errors
    /// When there is no thread or no runtime to be had.
    pub fn spawn(self) -> Result<ServerThread, Error> {
        let local_addr = self.local_addr;
        let runtime = runtime()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("simserver".to_owned())
            .spawn(move || {
                runtime.block_on(self.serve(async {
                    // The handle says stop, or is gone.
                    let _ = stopped.await;
                }))
            })
            .map_err(Error::Runtime)?;
        Ok(ServerThread { local_addr, stop, thread })
    }
}

fn runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .event_interval(EVENT_INTERVAL)
        .build()
        .map_err(Error::Runtime)
}

/// A server that runs on a thread of its own. Dropping it stops the server without waiting.
#[derive(Debug)]
pub struct ServerThread {
    local_addr: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), Error>>,
}

impl ServerThread {
    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops the server and waits for its end.
    ///
    /// # Errors
    /// As [`Server::serve`], and when its thread panicked.
    pub fn stop(self) -> Result<(), Error> {
        drop(self.stop);
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(Error::Runtime(io::Error::other("the thread panicked"))))
    }
}

fn service(
    options: ServerOptions,
    engine: EngineHandle,
    prompts: Arc<Prompts>,
    vocabulary: Arc<Vocabulary>,
    clock: Arc<dyn Clock>,
) -> Service {
    let answers = AnswerOptions {
        seed: options.seed,
        tokens: vocabulary.ids(),
        mean_tokens: options.answer_tokens_mean,
        sigma: options.answer_tokens_sigma,
        eos_token: None,
    };
    let ids = IdSource::new(options.seed);
    let fingerprint = format!("vllm-{}-{}", options.version, &ids.hex(1)[..8]);
    Service {
        model: options.served_model_name.as_str().into(),
        fingerprint: fingerprint.into(),
        tiers: options.engine.tiers.iter().map(|tier| tier.kind).collect(),
        started_unix_ns: clock.unix_ns(),
        options,
        engine,
        prompts,
        vocabulary,
        answers,
        ids,
        clock,
    }
}

async fn connection(service: Arc<Service>, watch: Arc<WriteWatch>, stream: TcpStream) {
    let clock = Arc::clone(&service.clock);
    let Ok(mut stream) = StampedStream::new(stream, Arc::clone(&clock)) else { return };
    let shared = Connection { arrival: stream.request_arrival(), watch: Arc::clone(&watch) };
    let stream = TokioIo::new(WatchedStream::new(stream, watch, clock));
    let answer = service_fn(|request| http::answer(service.clone(), shared.clone(), request));
    // A client that goes away is no failure of the server.
    let _ = http1::Builder::new().serve_connection(stream, answer).await;
}

/// Listens, non-blocking, with a long queue and stamped arrivals.
pub(crate) fn listen(addr: SocketAddr) -> Result<StdListener, Error> {
    let listener = StdListener::bind(addr).map_err(|source| {
        if source.kind() == io::ErrorKind::AddrInUse {
            Error::AddressInUse { addr }
        } else {
            Error::Bind { addr, source }
        }
    })?;
    listener.set_nonblocking(true).map_err(|source| Error::Bind { addr, source })?;
    lengthen_backlog(&listener);
    stamp_arrivals(&listener);
    Ok(listener)
}

/// The standard library's queue holds 128 connections; beyond it clients wait a second and more.
#[cfg(unix)]
fn lengthen_backlog(listener: &StdListener) {
    if let Ok(backlog) = nix::sys::socket::Backlog::new(BACKLOG) {
        // The shorter queue stays if the system refuses.
        let _ = nix::sys::socket::listen(listener, backlog);
    }
}

#[cfg(not(unix))]
fn lengthen_backlog(_listener: &StdListener) {
    let _ = BACKLOG;
}

/// The next connection. Without room for another one it waits for a while, or until the caller asks
/// anew because one has ended.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_one_client(&error) => tokio::task::yield_now().await,
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Whether accepting failed for this client only, or for nothing: the next one may be accepted.
pub(crate) fn is_of_one_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

/// Connections inherit it, so that a request that comes before its connection is accepted has the
/// kernel's stamp too; and Linux, which stops stamping with the last socket that asks for it, goes
/// on between connections.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn stamp_arrivals(listener: &StdListener) {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};
    // Without it arrivals are stamped when they are read, and the truth says so.
    let _ = setsockopt(listener, ReceiveTimestampns, &true);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn stamp_arrivals(_listener: &StdListener) {}
