use std::sync::Arc;

use turnbench_client::http1::ChatHeaders;
use turnbench_client::{
    BasePath, Connector, Endpoint, PageError, PageLimits, Session, TlsOptions, get_page,
};
use turnbench_model::{MetricsSample, Nanos, SampleMoment, Scrape};
use turnbench_observe::page;
use turnbench_observe::text::PAGE_BYTES_MAX;

use super::server::ServerAccess;
use crate::exit::{Exit, WithExitCode};

/// What a page may take.
const LIMITS: PageLimits = PageLimits { time: Nanos::from_millis(2_000), bytes: PAGE_BYTES_MAX };

/// A URL with a page of metrics.
pub(crate) struct PageSource {
    url: Arc<str>,
    session: Session,
    headers: ChatHeaders,
}

impl PageSource {
    /// A page of the server itself, or of another one.
    pub(crate) fn new(
        url: &str,
        access: &ServerAccess<'_>,
        tls: &TlsOptions,
    ) -> Result<Self, Exit> {
        let endpoint = Endpoint::parse(url, BasePath::Keep).or_usage()?;
        let server = access.connector.endpoint();
        let is_server = (endpoint.is_secure(), endpoint.authority())
            == (server.is_secure(), server.authority());
        // Another server has no business with the key.
        let headers = if is_server {
            ChatHeaders { session_id: false, offer_compression: false, ..access.headers.clone() }
        } else {
            ChatHeaders::default()
        };
        let clock = Arc::clone(access.connector.clock());
        let connector = Connector::new(endpoint, tls, clock).or_usage()?;
        Ok(Self { url: url.into(), session: Session::new(Arc::new(connector)), headers })
    }

    /// Asks for the page.
    pub(crate) async fn sample(&mut self, moment: SampleMoment) -> MetricsSample {
        let clock = Arc::clone(self.session.connector().clock());
        let start = clock.now();
        let got = get_page(&mut self.session, &self.headers, LIMITS).await;
        let (asked, had) = match &got {
            Ok(page) => (page.asked_ns, page.had_ns),
            Err(_) => (start, clock.now()),
        };
        let half_width_ns = Nanos(had.since(asked).0 / 2);
        let scrape = match got.map(|got| page(&got.bytes)) {
            Ok(Ok(page)) => Scrape::Page(page),
            Ok(Err(error)) => Scrape::Failed(error.to_string()),
            Err(error) => Scrape::Failed(why(&error)),
        };
        MetricsSample {
            source: Arc::clone(&self.url),
            moment,
            at_ns: asked + half_width_ns,
            half_width_ns,
            scrape,
        }
    }
}

fn why(error: &PageError) -> String {
    match error {
        PageError::Transport(error) => crate::exit::describe(&anyhow::anyhow!(error.to_string())),
        PageError::Status(_) | PageError::TooLong(_) | PageError::Header(_) => error.to_string(),
    }
}
