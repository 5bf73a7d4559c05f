//! A receive path that might be: hyper's client connections on one current-thread runtime.
//!
//! Every body frame is stamped when it comes, appended to the response's buffer and looked through
//! for `data:` lines.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::ensure;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use turnbench_model::{Clock, MonotonicClock, Nanos};

use crate::{EventCounter, Measure, Work};

/// What all connections share.
struct Shared {
    clock: MonotonicClock,
    unsent: u64,
    done: u64,
    frames: u64,
    counter: EventCounter,
}

/// Does the work and prints the report.
///
/// # Errors
/// When the server cannot be reached, or answers otherwise than with a whole stream.
pub fn run(work: &Work) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, send_all(work))
}

async fn send_all(work: &Work) -> anyhow::Result<()> {
    let address = work.address()?;
    let mut senders = Vec::new();
    for _ in 0..work.connections.min(work.requests) {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        senders.push(sender);
    }
    let measure = Measure::start()?;
    let shared = Rc::new(RefCell::new(Shared {
        clock: MonotonicClock::start(),
        unsent: u64::from(work.requests),
        done: 0,
        frames: 0,
        counter: EventCounter::default(),
    }));
    let body = Bytes::from(work.body());
    let tasks: Vec<_> = senders
        .into_iter()
        .map(|sender| {
            let client = client(sender, address, body.clone(), Rc::clone(&shared));
            tokio::task::spawn_local(client)
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let shared = shared.borrow();
    measure.print("hyperclient", shared.done, shared.counter.count(), shared.frames)
}

/// One connection's requests, one after another.
async fn client(
    mut sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    body: Bytes,
    shared: Rc<RefCell<Shared>>,
) -> anyhow::Result<()> {
    let host = HeaderValue::from_str(&address.to_string())?;
    loop {
        {
            let mut shared = shared.borrow_mut();
            if shared.unsent == 0 {
                return Ok(());
            }
            shared.unsent -= 1;
        }
        let request = Request::post(Work::PATH)
            .header(HOST, host.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body.clone()))?;
        let response = sender.send_request(request).await?;
        ensure!(response.status() == StatusCode::OK, "HTTP {}", response.status());
        let mut frames = response.into_body();
        let (mut kept, mut stamps) = (Vec::new(), Vec::<Nanos>::new());
        while let Some(frame) = frames.frame().await {
            let frame = frame?;
            let Some(bytes) = frame.data_ref() else { continue };
            let mut shared = shared.borrow_mut();
            stamps.push(shared.clock.now());
            shared.frames += 1;
            // An event is a chunk here, and hyper gives chunks or parts of them.
            shared.counter.add_border(&kept, bytes);
            shared.counter.add(bytes);
            kept.extend_from_slice(bytes);
        }
        ensure!(kept.ends_with(b"data: [DONE]\n\n"), "a stream without an end");
        std::hint::black_box(stamps);
        shared.borrow_mut().done += 1;
    }
}
