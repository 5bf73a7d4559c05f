//! The client: HTTP/1.1 to an OpenAI-compatible server with a stamp for every read, request bodies
//! that grow, responses decoded after they have ended, and the run that ties them together.
//!
//! Floor 2: it knows sockets, HTTP, event streams and the chat API. It knows nothing of tokenizers
//! (but the server's own), of data sets or of reports, and computes no metric.
//!
//! **Invariant:** between the first and the last byte of a response nothing is parsed but HTTP framing:
//! bytes are stamped and kept, and JSON is decoded afterwards (or in batches of 16 KiB).
//! **Invariant:** a failed request is data ([`TransportError`] beside whatever came), never an `Err`.
//!
//! HTTP is read by a reader of its own ([`http1::ResponseReader`]) rather than by a general client
//! library: those hand out body frames without the read they came in, and hide when the request's
//! first and last byte reached the kernel.
//!
//! ```no_run
//! # async fn example() -> Result<(), turnbench_client::ClientError> {
//! use std::sync::Arc;
//! use turnbench_client::http1::{ChatHeaders, HeadTemplate, chat_headers};
//! use turnbench_client::{
//!     BasePath, Cancel, Connector, ConversationBody, Endpoint, JsonStyle, Limits, Request,
//!     RequestTail, Session, TlsOptions, api::ChatDecoder,
//! };
//! use turnbench_model::{Message, MonotonicClock};
//!
//! let endpoint = Endpoint::parse("http://localhost:8000", BasePath::Normalise)?;
//! let clock = Arc::new(MonotonicClock::start());
//! let connector = Arc::new(Connector::new(endpoint, &TlsOptions::default(), clock)?);
//! let headers = chat_headers(&ChatHeaders::default());
//! let template =
//!     HeadTemplate::new("POST", connector.endpoint(), "/v1/chat/completions", &headers)?;
//!
//! let mut body = ConversationBody::new(JsonStyle::Compact, "model");
//! body.push(&Message::new("user", "hi"));
//! let mut tail = Vec::new();
//! RequestTail { stream: true, include_usage: true, ..RequestTail::default() }
//!     .write(JsonStyle::Compact, &mut tail);
//! let mut head = Vec::new();
//! template.write("", Some(body.history().len() + tail.len()), &mut head);
//!
//! let now = connector.clock().now();
//! let parts: [&[u8]; 3] = [&head, body.history(), &tail];
//! let request = Request { bytes: &parts, intended_ns: now, built_ns: Some(now) };
//! let limits = Limits { deadline: None, cancel: &Cancel::never() };
//! let mut decoder = ChatDecoder::new(true);
//! let response = Session::new(connector).send(request, limits, &mut decoder).await;
//! println!("{:?}", decoder.finish(&response).answer.content);
//! # Ok(())
//! # }
//! ```

pub mod api;
pub mod http1;
pub mod run;
pub mod sse;

mod body;
mod cancel;
mod connection;
mod endpoint;
mod error;
mod json_style;
mod pacer;
mod page;
mod prefix_cache;
mod request_tail;
mod response;
mod server_info;
mod server_tokenizer;
mod session;
mod single;
mod stream_end;
mod timer;
mod tls;

pub use body::ConversationBody;
pub use cancel::{Cancel, Canceller};
pub use connection::{Connection, Connector};
pub use endpoint::{BasePath, Endpoint};
pub use error::{ClientError, HttpError, TransportError};
pub use json_style::JsonStyle;
pub use page::{Page, PageError, PageLimits, get_page};
pub use prefix_cache::reset_prefix_cache;
pub use request_tail::RequestTail;
pub use response::RawResponse;
pub use server_info::{ServedModel, ServerInfo, server_info};
pub use server_tokenizer::ServerTokenizer;
pub use session::{BodySink, KeepBody, Limits, Request, Session};
pub use single::{SingleChat, SingleRequest};
pub use tls::TlsOptions;
