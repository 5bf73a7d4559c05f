use std::sync::Arc;
use std::time::Duration;

use turnbench_client::http1::HeadTemplate;
use turnbench_client::{
    BasePath, Cancel, ClientError, Connector, Endpoint, KeepBody, Limits, Request, Session,
    TlsOptions, TransportError,
};
use turnbench_metrics::{Describe, NetworkCheck};
use turnbench_model::{Clock, Nanos};

use crate::args::SelfcheckArgs;
use crate::exit::{Exit, ExitCode, WithExitCode};

/// Connections opened one after another.
const CONNECTS: u32 = 10;
/// Requests on the last of them.
const REQUESTS: u32 = 50;
/// Longest time for all of them: what is not measured by then is left out.
const AT_MOST: Nanos = Nanos::from_millis(5_000);
const PATH: &str = "/health";
const PERCENTS: [f64; 3] = [50.0, 90.0, 99.0];

/// Measures the way to a server.
pub(super) fn check(
    url: &str,
    args: &SelfcheckArgs,
    clock: Arc<dyn Clock>,
) -> Result<NetworkCheck, Exit> {
    let endpoint = Endpoint::parse(url, BasePath::Normalise)
        .map_err(|error| Exit::usage(format!("--{error}")))?;
    let tls = TlsOptions { insecure: args.insecure, ca_cert: args.ca_cert.clone() };
    let connector = Arc::new(Connector::new(endpoint, &tls, clock).or_usage()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&connector))
}

async fn measure(connector: &Arc<Connector>) -> Result<NetworkCheck, Exit> {
    let until = connector.clock().now() + AT_MOST;
    let mut session = Session::new(Arc::clone(connector));
    let connects_ms = connects(&mut session, until).await?;
    let (answers_ms, health_status) = requests(&mut session, until).await?;
    Ok(NetworkCheck {
        url: connector.endpoint().url(""),
        connect_ms: Describe::of_all(&connects_ms, &PERCENTS),
        health_ms: Describe::of_all(&answers_ms, &PERCENTS),
        health_status,
    })
}

/// Opens connections one after another, the last of which stays; fails where there is not even one.
async fn connects(session: &mut Session, until: Nanos) -> Result<Vec<f64>, Exit> {
    let clock = Arc::clone(session.connector().clock());
    let mut connects_ms = Vec::new();
    for _ in 0..CONNECTS {
        session.close();
        let left = Duration::from_nanos(until.since(clock.now()).0);
        match tokio::time::timeout(left, session.connect()).await {
            Ok(Ok(Some(opened))) => {
                let open_ns = opened.handshake_ns.unwrap_or(opened.connected_ns);
                connects_ms.push(open_ns.since(opened.connect_ns).as_millis_f64());
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => return Err(unreachable(session, error)),
            Err(_) if connects_ms.is_empty() => return Err(unreachable(session, out_of_time())),
            Err(_) => break,
        }
    }
    Ok(connects_ms)
}

/// Asks on one connection; how long the answers took, and the status of the last one. Fails where
/// there is not even one.
async fn requests(session: &mut Session, until: Nanos) -> Result<(Vec<f64>, u16), Exit> {
    let connector = Arc::clone(session.connector());
    let mut head = Vec::new();
    let template = HeadTemplate::new("GET", connector.endpoint(), PATH, &[]).or_usage()?;
    template.write("", None, &mut head);
    let (mut answers_ms, mut health_status) = (Vec::new(), None);
    for _ in 0..REQUESTS {
        let now = connector.clock().now();
        let request = Request { bytes: &[&head], intended_ns: now, built_ns: Some(now) };
        let limits = Limits { deadline: Some(until), cancel: &Cancel::never() };
        let response = session.send(request, limits, &mut KeepBody).await;
        let status = response.status();
        match response.error {
            None => {}
            Some(TransportError::Timeout { .. }) if health_status.is_some() => break,
            Some(TransportError::Timeout { .. }) => {
                return Err(unreachable(session, out_of_time()));
            }
            Some(error) => return Err(unreachable(session, error)),
        }
        health_status = status;
        if let Some((sent, answered)) = response.stamps.sent_ns.zip(response.stamps.headers) {
            answers_ms.push(answered.at_ns.since(sent).as_millis_f64());
        }
    }
    Ok((answers_ms, health_status.unwrap_or(0)))
}

const fn out_of_time() -> TransportError {
    TransportError::Timeout { limit_ms: AT_MOST.0 / 1_000_000 }
}

fn unreachable(session: &Session, source: TransportError) -> Exit {
    let url = session.connector().endpoint().url(PATH);
    Exit { code: ExitCode::Unreachable, error: ClientError::Unreachable { url, source }.into() }
}
