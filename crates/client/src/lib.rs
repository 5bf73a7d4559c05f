//! The HTTP client.

pub mod api;
pub mod http1;
pub mod run;
pub mod sse;

mod body;
mod cancel;
mod connection;
mod endpoint;
mod error;
mod pacer;
mod response;
mod session;
mod tls;

pub use body::{ConversationBody, JsonStyle, RequestTail};
pub use cancel::{Cancel, Canceller};
pub use connection::{Connection, Connector};
pub use endpoint::{BasePath, Endpoint};
pub use error::{ClientError, HttpError, TransportError};
pub use pacer::sleep_until;
pub use response::RawResponse;
pub use session::{BodySink, KeepBody, Limits, Request, Session};
pub use tls::TlsOptions;
