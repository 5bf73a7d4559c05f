use std::sync::Arc;

use turnbench_model::Nanos;

use crate::cancel::Cancel;
use crate::connection::Connector;
use crate::error::ClientError;
use crate::http1::{ChatHeaders, HeadTemplate, chat_headers};
use crate::session::{KeepBody, Limits, Request, Session};

/// Time limit of the question.
const LIMIT: Nanos = Nanos::from_millis(10_000);

/// Asks the server to empty its prefix cache, as vLLM does (`POST /reset_prefix_cache`, 0.32: only when it
/// was started with `VLLM_SERVER_DEV_MODE=1`); says whether it did. Most servers know no such path.
///
/// # Errors
/// When a header is not allowed.
pub async fn reset_prefix_cache(
    connector: &Arc<Connector>,
    headers: &ChatHeaders,
) -> Result<bool, ClientError> {
    let mut head = Vec::new();
    let headers = chat_headers(headers);
    HeadTemplate::new("POST", connector.endpoint(), "/reset_prefix_cache", &headers)?.write(
        "",
        Some(0),
        &mut head,
    );
    let now = connector.clock().now();
    let request = Request { bytes: &[&head], intended_ns: now, built_ns: Some(now) };
    let limits = Limits { deadline: Some(now + LIMIT), cancel: &Cancel::never() };
    let mut session = Session::new(Arc::clone(connector));
    let response = session.send(request, limits, &mut KeepBody).await;
    Ok(response.error.is_none() && response.status() == Some(200))
}
