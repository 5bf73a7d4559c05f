use std::sync::Arc;

use turnbench_client::http1::HeadTemplate;
use turnbench_client::{
    BasePath, Cancel, ClientError, Connector, Endpoint, KeepBody, Limits, RawResponse, Request,
    Session, TlsOptions,
};
use turnbench_metrics::{Describe, NetworkCheck};
use turnbench_model::{Clock, Nanos};

use crate::args::SelfcheckArgs;
use crate::exit::{Exit, ExitCode, WithExitCode};

/// Connections opened one after another.
const CONNECTS: u32 = 10;
/// Requests on the last of them.
const ROUND_TRIPS: u32 = 50;
/// Longest wait for an answer.
const PATIENCE: Nanos = Nanos::from_millis(5_000);
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
    let endpoint = connector.endpoint();
    let mut head = Vec::new();
    HeadTemplate::new("GET", endpoint, PATH, &[]).or_usage()?.write("", None, &mut head);
    let (mut connects, mut round_trips, mut health_status) = (Vec::new(), Vec::new(), 0);
    let mut session = Session::new(Arc::clone(connector));
    for index in 0..CONNECTS + ROUND_TRIPS {
        if index < CONNECTS {
            session.close();
        }
        let mut response = get(&mut session, &head).await;
        if let Some(source) = response.error.take() {
            let error = ClientError::Unreachable { url: endpoint.url(PATH), source };
            return Err(Exit { code: ExitCode::Unreachable, error: error.into() });
        }
        health_status = response.status().unwrap_or(0);
        let stamps = &response.stamps;
        if let Some((from, to)) = stamps.connect_ns.zip(stamps.connected_ns) {
            connects.push(to.since(from).as_millis_f64());
        }
        // The first answer on a connection may find the server still busy with accepting it.
        if index >= CONNECTS
            && let Some((sent, answered)) = stamps.sent_ns.zip(stamps.headers)
        {
            round_trips.push(answered.at_ns.since(sent).as_millis_f64());
        }
    }
    Ok(NetworkCheck {
        url: endpoint.url(""),
        connect_ms: Describe::of_all(&connects, &PERCENTS),
        round_trip_ms: Describe::of_all(&round_trips, &PERCENTS),
        health_status,
    })
}

async fn get(session: &mut Session, head: &[u8]) -> RawResponse {
    let now = session.connector().clock().now();
    let request = Request { bytes: &[head], intended_ns: now, built_ns: Some(now) };
    let limits = Limits { deadline: Some(now + PATIENCE), cancel: &Cancel::never() };
    session.send(request, limits, &mut KeepBody).await
}
