use turnbench_model::Nanos;

use crate::cancel::Canceller;
use crate::error::{ClientError, TransportError};
use crate::http1::{Body, ChatHeaders, HeadTemplate, ResponseHead, get_headers};
use crate::session::{BodySink, Limits, Request, Session};

/// What a page may take.
#[derive(Clone, Copy, Debug)]
pub struct PageLimits {
    /// Time from asking to having all of it.
    pub time: Nanos,
    /// Length in bytes.
    pub bytes: usize,
}

/// A page that a server showed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    /// What it says.
    pub bytes: Vec<u8>,
    /// When it was asked for.
    pub asked_ns: Nanos,
    /// When all of it was there.
    pub had_ns: Nanos,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The exchange did not come to its end.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server answered something else than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// It is longer than allowed.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// A header is not allowed in HTTP.
    #[error(transparent)]
    Header(#[from] ClientError),
}

/// Gets the page at the session's endpoint, whose path is the whole of it.
///
/// # Errors
/// When the server does not answer 200 with a whole page within the limits.
pub async fn get_page(
    session: &mut Session,
    headers: &ChatHeaders,
    limits: PageLimits,
) -> Result<Page, PageError> {
    let mut head = Vec::new();
    HeadTemplate::new("GET", session.connector().endpoint(), "", &get_headers(headers))?
        .write("", None, &mut head);
    let now = session.connector().clock().now();
    let request = Request { bytes: &[&head], intended_ns: now, built_ns: Some(now) };
    let (canceller, cancel) = Canceller::new();
    let limited = Limits { deadline: Some(now + limits.time), cancel: &cancel };
    let mut bounded = Bounded { bytes: limits.bytes, canceller };
    let response = session.send(request, limited, &mut bounded).await;
    if response.body.total_len() > limits.bytes {
        return Err(PageError::TooLong(limits.bytes));
    }
    let status = response.status();
    if let Some(error) = response.error {
        return Err(error.into());
    }
    match status {
        Some(200) => Ok(Page {
            bytes: response.body.bytes().to_vec(),
            asked_ns: response.stamps.sent_ns.unwrap_or(now),
            had_ns: response.stamps.end.map_or(now, |end| end.at_ns),
        }),
        status => Err(PageError::Status(status.unwrap_or_default())),
    }
}

/// Stops a body that is too long, and does not keep it.
struct Bounded {
    bytes: usize,
    canceller: Canceller,
}

impl BodySink for Bounded {
    fn take(&mut self, _head: &ResponseHead, body: &mut Body) {
        if body.total_len() > self.bytes {
            body.clear();
            self.canceller.cancel();
        }
    }
}
