//! turnbench's own receive path, alone: kernel stamps, its own HTTP/1.1 reader, nothing decoded.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::ensure;
use tokio::task::LocalSet;
use turnbench_client::{
    BasePath, Cancel, Connector, Endpoint, KeepBody, Limits, Request, Session, TlsOptions,
};
use turnbench_model::MonotonicClock;

use crate::{EventCounter, Measure, Work};

/// What all connections share.
struct Shared {
    unsent: u64,
    done: u64,
    reads: u64,
    counter: EventCounter,
}

/// Does the work and prints the report.
///
/// # Errors
/// When the server cannot be reached, or answers otherwise than with a whole stream.
pub fn run(work: &Work) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, send_all(work))
}

async fn send_all(work: &Work) -> anyhow::Result<()> {
    let endpoint = Endpoint::parse(&work.url, BasePath::Normalise)?;
    let clock = Arc::new(MonotonicClock::start());
    let connector = Arc::new(Connector::new(endpoint, &TlsOptions::default(), clock)?);
    let mut sessions = Vec::new();
    for _ in 0..work.connections.min(work.requests) {
        let connection = connector.connect().await?;
        sessions.push(Session::on(Arc::clone(&connector), connection));
    }
    let request: Rc<[u8]> = work.request()?.into();
    let measure = Measure::start()?;
    let shared = Rc::new(RefCell::new(Shared {
        unsent: u64::from(work.requests),
        done: 0,
        reads: 0,
        counter: EventCounter::default(),
    }));
    let tasks: Vec<_> = sessions
        .into_iter()
        .map(|session| {
            tokio::task::spawn_local(client(session, Rc::clone(&request), Rc::clone(&shared)))
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let shared = shared.borrow();
    measure.print("turnclient", shared.done, shared.counter.count(), shared.reads)
}

/// One connection's requests, one after another.
async fn client(
    mut session: Session,
    request: Rc<[u8]>,
    shared: Rc<RefCell<Shared>>,
) -> anyhow::Result<()> {
    let cancel = Cancel::never();
    loop {
        {
            let mut shared = shared.borrow_mut();
            if shared.unsent == 0 {
                return Ok(());
            }
            shared.unsent -= 1;
        }
        let now = session.connector().clock().now();
        let request = Request { bytes: &[&request], intended_ns: now, built_ns: Some(now) };
        let limits = Limits { deadline: None, cancel: &cancel };
        let response = session.send(request, limits, &mut KeepBody).await;
        if let Some(error) = response.error {
            return Err(error.into());
        }
        ensure!(response.head.is_some_and(|head| head.status == 200), "not HTTP 200");
        let mut shared = shared.borrow_mut();
        shared.counter.add(response.body.bytes());
        shared.reads += u64::from(response.reads_count);
        shared.done += 1;
    }
}
