//! The HTTP side: which path answers what, in vLLM's words.

mod account;
mod answer;
mod chat;
mod completions;
mod errors;
mod events;
mod fields;
mod generate;
mod head;
mod json;
mod metrics;
mod models;
mod request;
mod stream;
mod tokenize;

#[cfg(test)]
mod recorded;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::Value;
use turnbench_model::{Clock, StampSource};
use turnbench_socket::{Arrival, RequestArrival};

pub(crate) use self::answer::{Api, Finished, Meta, Usage};
pub(crate) use self::errors::ApiError;
pub(crate) use self::events::{DONE, EventEncoder};
pub(crate) use self::head::{EVENTS, JSON};
use self::head::{EXPOSITION, Head};
pub(crate) use self::json::push_string;
pub(crate) use self::models::ModelCard;
pub(crate) use self::request::StreamFlags;
pub(crate) use self::stream::Reply;
use crate::driver::EngineHandle;
use crate::engine::{AnswerOptions, TierKind};
use crate::ids::IdSource;
use crate::options::ServerOptions;
use crate::prompt::Prompts;
use crate::truth::WriteWatch;
use crate::vocabulary::Vocabulary;

/// The longest body that is read; longer ones are refused.
const BODY_BYTES_MAX: usize = 256 << 20;

/// What all requests share.
pub(crate) struct Service {
    pub(crate) options: ServerOptions,
    pub(crate) engine: EngineHandle,
    pub(crate) prompts: Arc<Prompts>,
    pub(crate) vocabulary: Arc<Vocabulary>,
    pub(crate) answers: AnswerOptions,
    pub(crate) ids: IdSource,
    pub(crate) clock: Arc<dyn Clock>,
    /// As in the options, shared by all answers.
    pub(crate) model: Arc<str>,
    pub(crate) fingerprint: Arc<str>,
    /// The tiers, nearest first.
    pub(crate) tiers: Arc<[TierKind]>,
    /// In nanoseconds since the Unix epoch.
    pub(crate) started_unix_ns: u64,
}

/// What the requests of one connection share.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) arrival: Arc<RequestArrival>,
    pub(crate) watch: Arc<WriteWatch>,
}

/// A request whose body is here.
struct Received<'a> {
    headers: &'a HeaderMap,
    body: Bytes,
    arrival: Arrival,
    connection: &'a Connection,
}

/// The paths there are.
#[derive(Clone, Copy)]
enum Route {
    Generate(Api),
    Models,
    Version,
    Health,
    Load,
    Tokenize,
    Detokenize,
    ResetPrefixCache,
    Metrics,
}

impl Route {
    fn find(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" => Self::Generate(Api::Chat),
            "/v1/completions" => Self::Generate(Api::Completion),
            "/v1/models" => Self::Models,
            "/version" => Self::Version,
            "/health" | "/ping" => Self::Health,
            "/load" => Self::Load,
            "/tokenize" => Self::Tokenize,
            "/detokenize" => Self::Detokenize,
            "/reset_prefix_cache" => Self::ResetPrefixCache,
            "/metrics" => Self::Metrics,
            _ => return None,
        })
    }

    const fn method(self) -> Method {
        match self {
            Self::Generate(_) | Self::Tokenize | Self::Detokenize | Self::ResetPrefixCache => {
                Method::POST
            }
            Self::Models | Self::Version | Self::Health | Self::Load | Self::Metrics => Method::GET,
        }
    }
}

/// Answers one request.
///
/// # Errors
/// None: every failure is an answer.
pub(crate) async fn answer(
    service: Arc<Service>,
    connection: Connection,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let (parts, body) = request.into_parts();
    let head = service.head(&parts.headers);
    if parts.uri.path().starts_with("/v1") && !service.may_enter(&parts.headers) {
        return Ok(head.unauthorized());
    }
    let Some(route) = Route::find(parts.uri.path()) else {
        return Ok(head.full(StatusCode::NOT_FOUND, Some(JSON), "{\"detail\":\"Not Found\"}"));
    };
    if parts.method != route.method() {
        let allow = if route.method() == Method::POST { "POST" } else { "GET" };
        return Ok(head.wrong_method(allow));
    }
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        let error = ApiError {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            ..ApiError::bad_request(format!("body above {BODY_BYTES_MAX} bytes, or cut off"))
        };
        return Ok(head.full(error.status, Some(JSON), error.body()));
    };
    let body = body.to_bytes();
    let arrival = service.arrival(&connection);
    let received = Received { headers: &parts.headers, body, arrival, connection: &connection };
    let answered = service.route(route, &received, head.clone()).await;
    Ok(answered.unwrap_or_else(|error| head.full(error.status, Some(JSON), error.body())))
}

impl Service {
    fn head(&self, headers: &HeaderMap) -> Head {
        let request_id = self.options.request_id_headers.then(|| {
            headers
                .get("x-request-id")
                .cloned()
                .or_else(|| HeaderValue::from_str(&self.ids.hex(2)).ok())
        });
        Head { unix_ns: self.clock.unix_ns(), request_id: request_id.flatten() }
    }

    /// Whether the request carries the key, or none is wanted.
    fn may_enter(&self, headers: &HeaderMap) -> bool {
        let Some(key) = &self.options.api_key else { return true };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(|given| given.split_once(' ')).is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case("bearer") && given.trim() == key
        })
    }

    fn arrival(&self, connection: &Connection) -> Arrival {
        connection.arrival.latest().unwrap_or_else(|| {
            let now = self.clock.unix_ns();
            Arrival { first_unix_ns: now, last_unix_ns: now, source: StampSource::User }
        })
    }

    async fn route(
        self: &Arc<Self>,
        route: Route,
        received: &Received<'_>,
        head: Head,
    ) -> Result<Response<Reply>, ApiError> {
        let ok = |body: String| head.clone().full(StatusCode::OK, Some(JSON), body);
        Ok(match route {
            Route::Generate(api) => return self.generate(api, received, head).await,
            Route::Models => {
                let card = ModelCard {
                    id: &self.options.served_model_name,
                    root: &self.options.model_root,
                    created: head.unix_ns / 1_000_000_000,
                    max_model_len: self.options.engine.max_model_len,
                    permission_id: &self.ids.hex(1),
                };
                ok(card.list())
            }
            Route::Version => {
                let mut body = String::from("{\"version\":");
                push_string(&mut body, &self.options.version);
                body.push('}');
                ok(body)
            }
            Route::Health => head.full(StatusCode::OK, None, ""),
            Route::Load => {
                let stats = self.engine.snapshot().await.ok_or_else(engine_gone)?.stats;
                ok(format!("{{\"server_load\":{}}}", stats.running + stats.waiting))
            }
            Route::Tokenize => ok(self.tokenize(&received.json()?).await?),
            Route::Detokenize => ok(self.detokenize(&received.json()?)?),
            Route::ResetPrefixCache => {
                if !self.engine.reset_cache().await.ok_or_else(engine_gone)? {
                    let error = ApiError {
                        status: StatusCode::CONFLICT,
                        ..ApiError::bad_request(
                            "The prefix cache cannot be reset while requests are running.",
                        )
                    };
                    return Err(error);
                }
                head.full(StatusCode::OK, None, "")
            }
            Route::Metrics => {
                let snapshot = self.engine.snapshot().await.ok_or_else(engine_gone)?;
                let snapshot = snapshot.with_cached_factor(self.options.cached_factor);
                let started = self.started_unix_ns as f64 / 1e9;
                let body = metrics::render(&snapshot, &self.options.served_model_name, started);
                head.full(StatusCode::OK, Some(EXPOSITION), body)
            }
        })
    }

    async fn tokenize(&self, body: &Value) -> Result<String, ApiError> {
        let request = tokenize::TokenizeRequest::parse(body)?;
        request::check_model(request.model.as_deref(), &self.options.served_model_name)?;
        let failed = |error: turnbench_model::TokenizerError| ApiError::bad_request(error.message);
        let pieces = match request.input {
            tokenize::TokenizeInput::Text(text) => vec![text],
            tokenize::TokenizeInput::Messages { messages, open } => {
                if !open && !self.prompts.is_built_in() {
                    return Err(ApiError::unsupported("add_generation_prompt=false"));
                }
                self.prompts.render(&messages, open).map_err(failed)?
            }
        };
        let ids = self.prompts.encode(pieces).await.map_err(failed)?;
        let texts = request.return_token_strs.then(|| {
            ids.iter().map(|&id| self.prompts.decode(&[id])).collect::<Result<Vec<_>, _>>()
        });
        let texts = texts.transpose().map_err(failed)?;
        Ok(tokenize::tokens_body(&ids, self.options.engine.max_model_len, texts.as_deref()))
    }

    fn detokenize(&self, body: &Value) -> Result<String, ApiError> {
        let (model, ids) = tokenize::parse_detokenize(body)?;
        request::check_model(model.as_deref(), &self.options.served_model_name)?;
        let text =
            self.prompts.decode(&ids).map_err(|error| ApiError::bad_request(error.message))?;
        Ok(tokenize::text_body(&text))
    }
}

impl Received<'_> {
    fn json(&self) -> Result<Value, ApiError> {
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        fields::parse_json(content_type, &self.body)
    }
}

/// The engine's task has ended: the server is shutting down.
fn engine_gone() -> ApiError {
    ApiError::internal("the engine has stopped")
}
