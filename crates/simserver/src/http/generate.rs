use std::sync::Arc;

use hyper::{Response, StatusCode};
use turnbench_model::Nanos;

use super::account::Account;
use super::answer::{Api, Finished, Meta};
use super::errors::ApiError;
use super::events::EventEncoder;
use super::head::{Head, JSON};
use super::request::{ChatRequest, CompletionRequest, Prompt, Sampling, answer_room, check_model};
use super::stream::{Answering, EventBody, Reply};
use super::{Received, Service, engine_gone};
use crate::driver::Deliveries;
use crate::engine::{AnswerOptions, AnswerSource, EngineRequest, LengthRule};

impl Service {
    /// Answers a chat or text completion request.
    pub(super) async fn generate(
        self: &Arc<Self>,
        api: Api,
        received: &Received<'_>,
        head: Head,
    ) -> Result<Response<Reply>, ApiError> {
        let (prompt, sampling) = self.understand(api, received).await?;
        // Once: what the engine is told and what the truth says must stand on the same reading.
        let epoch_unix_ns = self.epoch_unix_ns();
        let deliveries = self.submit(&prompt, &sampling, received, epoch_unix_ns).await?;
        let meta = self.meta(api, received, head.unix_ns);
        received.connection.watch.begin();
        let account = self.account(api, &meta, received, &sampling, prompt.len(), epoch_unix_ns);
        let mut answering = Answering::new(deliveries, account, Arc::clone(&self.vocabulary));
        if let Some(flags) = sampling.stream {
            let encoder = EventEncoder::new(api, meta, flags, prompt, sampling.return_token_ids);
            let body = EventBody::new(answering, encoder, self.options.tokens_per_chunk as usize);
            return Ok(head.stream(Reply::Events(Box::new(body))));
        }
        let (text, ids, finish) = answering.whole().await.ok_or_else(engine_gone)?;
        let body = api.whole(
            &meta,
            &Finished {
                text: &text,
                reason: finish.reason,
                usage: answering.account.usage(&finish.timeline),
                cached_details: answering.account.cached_details(&finish.timeline),
                ids: sampling.return_token_ids.then_some((&prompt, &ids)),
                metrics: answering.account.times(&finish.timeline),
            },
        );
        answering.note_end(&finish, true);
        Ok(head.full(StatusCode::OK, Some(JSON), body))
    }

    /// Reads the body and makes the prompt's ids.
    async fn understand(
        &self,
        api: Api,
        received: &Received<'_>,
    ) -> Result<(Arc<[u32]>, Sampling), ApiError> {
        let body = received.json()?;
        let max_model_len = self.options.engine.max_model_len;
        let failed = |error: turnbench_model::TokenizerError| ApiError::bad_request(error.message);
        let served = &self.options.served_model_name;
        match api {
            Api::Chat => {
                let ChatRequest { messages, sampling } = ChatRequest::parse(&body, max_model_len)?;
                check_model(sampling.model.as_deref(), served)?;
                let pieces = self.prompts.render(&messages, true).map_err(failed)?;
                Ok((self.prompts.encode(pieces).await.map_err(failed)?, sampling))
            }
            Api::Completion => {
                let vocab_size = self.prompts.vocab_size();
                let request = CompletionRequest::parse(&body, max_model_len, vocab_size)?;
                let CompletionRequest { prompt, sampling } = request;
                check_model(sampling.model.as_deref(), served)?;
                let ids = match prompt {
                    Prompt::Ids(ids) => ids.into(),
                    Prompt::Text(text) => self.prompts.encode(vec![text]).await.map_err(failed)?,
                };
                Ok((ids, sampling))
            }
        }
    }

    async fn submit(
        &self,
        prompt: &Arc<[u32]>,
        sampling: &Sampling,
        received: &Received<'_>,
        epoch_unix_ns: u64,
    ) -> Result<Deliveries, ApiError> {
        let room = answer_room(prompt.len(), self.options.engine.max_model_len)?;
        let max_tokens = sampling.max_tokens.unwrap_or(room).min(room);
        let seed = sampling.seed.map_or(0, |seed| seed as u64);
        let options = AnswerOptions { seed: self.answers.seed ^ seed, ..self.answers.clone() };
        let rule = LengthRule {
            min_tokens: sampling.min_tokens.min(max_tokens),
            max_tokens,
            ignore_eos: sampling.ignore_eos,
        };
        let answer = Box::new(AnswerSource::new(&options, prompt, rule));
        let mut request = EngineRequest::new(Arc::clone(prompt), max_tokens, answer);
        request.cache_salt.clone_from(&sampling.cache_salt);
        let at = Nanos(received.arrival.last_unix_ns.saturating_sub(epoch_unix_ns));
        let submitted = self.engine.submit(request, at).await.ok_or_else(engine_gone)?;
        submitted.map_err(|error| ApiError::bad_request(error.to_string()))
    }

    fn meta(&self, api: Api, received: &Received<'_>, unix_ns: u64) -> Meta {
        // A request's own id becomes the answer's in chat only.
        let asked = Account::header(received.headers, "x-request-id");
        let own = asked.filter(|_| api == Api::Chat).unwrap_or_else(|| self.ids.hex(1));
        Meta {
            id: format!("{}{own}", api.id_prefix()),
            created: unix_ns / 1_000_000_000,
            model: Arc::clone(&self.model),
            fingerprint: Arc::clone(&self.fingerprint),
        }
    }

    fn account(
        &self,
        api: Api,
        meta: &Meta,
        received: &Received<'_>,
        sampling: &Sampling,
        prompt_tokens: usize,
        epoch_unix_ns: u64,
    ) -> Account {
        Account {
            api,
            stream: sampling.stream.is_some(),
            id: meta.id.clone(),
            x_request_id: Account::header(received.headers, "x-request-id"),
            x_session_id: Account::header(received.headers, "x-session-id"),
            arrival: received.arrival,
            epoch_unix_ns,
            prompt_tokens: prompt_tokens as u32,
            block_size: self.options.engine.block_size,
            prefix_caching: self.options.engine.prefix_caching,
            details: self.options.prompt_tokens_details,
            cached_details: sampling.return_cached_tokens_details,
            tiers: Arc::clone(&self.tiers),
            cached_factor: self.options.cached_factor,
            metrics: self.options.per_request_metrics,
            watch: Arc::clone(&received.connection.watch),
        }
    }

    /// The wall clock's reading at the monotonic clock's epoch, as the clocks stand to each other
    /// now. Where time passes between the two readings it is too early by that much: then a request
    /// counts as arrived a little late, but no token is written before it is due.
    fn epoch_unix_ns(&self) -> u64 {
        let unix_ns = self.clock.unix_ns();
        unix_ns.saturating_sub(self.clock.now().0)
    }
}
