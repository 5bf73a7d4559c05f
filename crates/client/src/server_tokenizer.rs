use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use turnbench_model::{Message, Nanos, PromptTokenizer, Tokenizer, TokenizerError};

use crate::api::error_message;
use crate::cancel::Cancel;
use crate::connection::Connector;
use crate::error::ClientError;
use crate::http1::{ChatHeaders, HeadTemplate, chat_headers};
use crate::session::{KeepBody, Limits, Request, Session};

/// Time limit of one call, unless it is told otherwise.
const LIMIT: Nanos = Nanos::from_millis(60_000);
/// Most idle connections that are kept.
const IDLE_MAX: usize = 16;

/// The server's own tokenizer, over vLLM's `/tokenize` and `/detokenize`.
///
/// Blocking, and slow beside a local one: each call is a request. Callers on many threads use as
/// many connections. Must not be called from an asynchronous task.
pub struct ServerTokenizer {
    connector: Arc<Connector>,
    model: String,
    tokenize: HeadTemplate,
    detokenize: HeadTemplate,
    vocab_size: u32,
    limit: Nanos,
    idle: Mutex<Vec<Lane>>,
}

/// A connection and the runtime that drives it; used by one call at a time.
struct Lane {
    session: Session,
    runtime: tokio::runtime::Runtime,
}

impl std::fmt::Debug for ServerTokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ServerTokenizer")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Tokenized {
    tokens: Vec<u32>,
}

#[derive(Deserialize)]
struct Detokenized {
    prompt: String,
}

impl ServerTokenizer {
    /// A tokenizer for `model` at the connector's server. `vocab_size`, which servers do not tell, is
    /// what [`Tokenizer::vocab_size`] says: an id is below it.
    ///
    /// # Errors
    /// When a header is not allowed.
    pub fn new(
        connector: Arc<Connector>,
        headers: &ChatHeaders,
        model: &str,
        vocab_size: u32,
    ) -> Result<Self, ClientError> {
        let headers = chat_headers(&ChatHeaders { session_id: false, ..headers.clone() });
        let template = |path| HeadTemplate::new("POST", connector.endpoint(), path, &headers);
        let (tokenize, detokenize) = (template("/tokenize")?, template("/detokenize")?);
        let idle = Mutex::new(Vec::new());
        let model = model.to_owned();
        Ok(Self { connector, model, tokenize, detokenize, vocab_size, limit: LIMIT, idle })
    }

    /// The same with another time limit for a call.
    #[must_use]
    pub fn within(self, limit: Nanos) -> Self {
        Self { limit, ..self }
    }

    fn call<T: for<'de> Deserialize<'de>>(
        &self,
        template: &HeadTemplate,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, TokenizerError> {
        let failed = |message: String| TokenizerError { message: format!("{path}: {message}") };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut lane = match idle {
            Some(lane) => lane,
            None => Lane {
                session: Session::new(Arc::clone(&self.connector)),
                runtime: tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| failed(error.to_string()))?,
            },
        };
        let body = body.to_string().into_bytes();
        let mut head = Vec::new();
        template.write("", Some(body.len()), &mut head);
        let now = self.connector.clock().now();
        let request = Request { bytes: &[&head, &body], intended_ns: now, built_ns: None };
        let limits = Limits { deadline: Some(now + self.limit), cancel: &Cancel::never() };
        let response = lane.runtime.block_on(lane.session.send(request, limits, &mut KeepBody));
        if let Some(error) = &response.error {
            return Err(failed(error.to_string()));
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(lane);
        }
        drop(idle);
        let bytes = response.body.bytes();
        match response.status() {
            Some(200) => serde_json::from_slice(bytes).map_err(|error| failed(error.to_string())),
            status => {
                let message = error_message(bytes).unwrap_or_default();
                Err(failed(format!("status {}: {message}", status.unwrap_or_default())))
            }
        }
    }
}

impl Tokenizer for ServerTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let body = json!({ "model": self.model, "prompt": text, "add_special_tokens": false });
        self.call::<Tokenized>(&self.tokenize, "/tokenize", &body).map(|answer| answer.tokens)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let body = json!({ "model": self.model, "tokens": ids });
        self.call::<Detokenized>(&self.detokenize, "/detokenize", &body).map(|answer| answer.prompt)
    }

    fn vocab_size(&self) -> u32 {
        self.vocab_size
    }
}

impl PromptTokenizer for ServerTokenizer {
    fn prompt_ids(
        &self,
        messages: &[Message],
        tools: Option<&Value>,
    ) -> Result<Vec<u32>, TokenizerError> {
        let mut body =
            json!({ "model": self.model, "messages": messages, "add_generation_prompt": true });
        if let Some(tools) = tools {
            body["tools"] = tools.clone();
        }
        self.call::<Tokenized>(&self.tokenize, "/tokenize", &body).map(|answer| answer.tokens)
    }
}
