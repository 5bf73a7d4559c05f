use std::sync::Arc;

use super::answer::{Api, CachedDetails, Meta, RequestMetrics, Usage};
use super::request::StreamFlags;
use super::{chat, completions};
use crate::engine::FinishReason;

/// The event that ends every stream.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// Writes the server-sent events of one streamed answer.
#[derive(Debug)]
pub(crate) struct EventEncoder {
    api: Api,
    meta: Meta,
    flags: StreamFlags,
    /// `data: ` and the JSON up to the choices, the same in all events.
    head: String,
    prompt_tokens: u32,
    completion_tokens: u32,
    /// The prompt's ids, until they are sent; `None` if not asked for.
    prompt: Option<Arc<[u32]>>,
    return_token_ids: bool,
}

impl EventEncoder {
    /// `prompt_ids`: as for `return_token_ids`.
    pub(crate) fn new(
        api: Api,
        meta: Meta,
        flags: StreamFlags,
        prompt: Arc<[u32]>,
        return_token_ids: bool,
    ) -> Self {
        Self {
            head: format!("data: {}", meta.open(api.event_object())),
            api,
            meta,
            flags,
            prompt_tokens: u32::try_from(prompt.len()).unwrap_or(u32::MAX),
            completion_tokens: 0,
            prompt: return_token_ids.then_some(prompt),
            return_token_ids,
        }
    }

    /// The event before the first token; text completions have none.
    pub(crate) fn opening(&mut self) -> Option<String> {
        if self.api == Api::Completion {
            return None;
        }
        let mut out = self.head.clone();
        out.push_str(chat::ROLE_CHOICE);
        out.push(']');
        self.push_running_usage(&mut out);
        chat::push_prompt(&mut out, self.prompt.take().as_deref());
        out.push_str("}\n\n");
        Some(out)
    }

    /// An event with the text of `ids`; `finish` in the last one.
    pub(crate) fn part(&mut self, text: &str, ids: &[u32], finish: Option<FinishReason>) -> String {
        self.completion_tokens += ids.len() as u32;
        let ids = self.return_token_ids.then_some(ids);
        let mut out = String::with_capacity(self.head.len() + 128 + text.len());
        out.push_str(&self.head);
        match self.api {
            Api::Chat => chat::push_choice(&mut out, text, ids, finish),
            Api::Completion => {
                let prompt = self.prompt.take();
                completions::push_choice(&mut out, text, prompt.as_deref(), ids, finish);
            }
        }
        out.push(']');
        self.push_running_usage(&mut out);
        if finish.is_some() && !self.flags.include_usage {
            self.meta.push_fingerprint(&mut out);
        }
        out.push_str("}\n\n");
        out
    }

    /// The event that says where cached tokens were; SGLang sends it before usage.
    pub(crate) fn cached_details(&self, details: &CachedDetails) -> String {
        let mut out = self.head.clone();
        out.push_str("],\"usage\":null");
        details.push(&mut out);
        out.push_str("}\n\n");
        out
    }

    /// The usage event, if the request asked for one.
    pub(crate) fn usage(&self, usage: &Usage, metrics: Option<&RequestMetrics>) -> Option<String> {
        if !self.flags.include_usage {
            return None;
        }
        let mut out = self.head.clone();
        out.push(']');
        usage.push_final(&mut out);
        self.meta.push_fingerprint(&mut out);
        if let Some(metrics) = metrics {
            out.push_str(",\"metrics\":");
            metrics.push(&mut out);
            out.push('}');
        }
        out.push_str("}\n\n");
        Some(out)
    }

    fn push_running_usage(&self, out: &mut String) {
        if !self.flags.continuous_usage {
            return;
        }
        let usage = Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            cache: None,
        };
        out.push_str(",\"usage\":");
        usage.push_counts(out);
        if self.api == Api::Chat {
            out.push_str(",\"completion_tokens_details\":null");
        }
        out.push('}');
    }
}
