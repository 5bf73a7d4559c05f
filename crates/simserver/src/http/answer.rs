use std::fmt::Write;
use std::sync::Arc;

use super::json::{float, push_string};
use crate::engine::FinishReason;

/// What the JSON of every answer starts from.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    /// With its prefix: `chatcmpl-…` or `cmpl-…`.
    pub(crate) id: String,
    /// Seconds since the Unix epoch.
    pub(crate) created: u64,
    pub(crate) model: Arc<str>,
    pub(crate) fingerprint: Arc<str>,
}

impl Meta {
    /// `{"id":…,"object":…,"created":…,"model":…,"choices":[`.
    pub(crate) fn open(&self, object: &str) -> String {
        let mut out = String::from("{\"id\":");
        push_string(&mut out, &self.id);
        let _ = write!(out, ",\"object\":\"{object}\",\"created\":{},\"model\":", self.created);
        push_string(&mut out, &self.model);
        out.push_str(",\"choices\":[");
        out
    }

    /// `,"system_fingerprint":…`.
    pub(crate) fn push_fingerprint(&self, out: &mut String) {
        out.push_str(",\"system_fingerprint\":");
        push_string(out, &self.fingerprint);
    }
}

/// Token counts of an answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u32,
    pub(crate) completion_tokens: u32,
    /// `None` where the server does not report prompt token details.
    pub(crate) cache: Option<CacheUsage>,
}

/// What the cache did for a prompt, in tokens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct CacheUsage {
    pub(crate) cached: u32,
    /// Full blocks computed for this prompt; chat only.
    pub(crate) created: Option<u32>,
}

impl Usage {
    /// `{"prompt_tokens":…,"total_tokens":…,"completion_tokens":…`, still open.
    pub(crate) fn push_counts(&self, out: &mut String) {
        let Self { prompt_tokens, completion_tokens, .. } = *self;
        let total = prompt_tokens + completion_tokens;
        let _ = write!(
            out,
            "{{\"prompt_tokens\":{prompt_tokens},\"total_tokens\":{total},\
             \"completion_tokens\":{completion_tokens}"
        );
    }

    /// `,"usage":{…}` of a plain body: absent details are `null`.
    pub(crate) fn push_whole(&self, out: &mut String) {
        out.push_str(",\"usage\":");
        self.push_counts(out);
        out.push_str(",\"prompt_tokens_details\":");
        match self.cache {
            None => out.push_str("null"),
            Some(CacheUsage { cached, created }) => {
                let _ = write!(out, "{{\"cached_tokens\":{cached},\"created_cache_tokens\":");
                let _ = match created {
                    Some(created) => write!(out, "{created}"),
                    None => write!(out, "null"),
                };
                out.push_str(",\"multimodal_tokens\":null}");
            }
        }
        out.push_str(",\"completion_tokens_details\":null}");
    }

    /// `,"usage":{…}` of a stream's usage event: absent details are left out.
    pub(crate) fn push_final(&self, out: &mut String) {
        out.push_str(",\"usage\":");
        self.push_counts(out);
        if let Some(CacheUsage { cached, created }) = self.cache {
            let _ = write!(out, ",\"prompt_tokens_details\":{{\"cached_tokens\":{cached}");
            if let Some(created) = created {
                let _ = write!(out, ",\"created_cache_tokens\":{created}");
            }
            out.push('}');
        }
        out.push('}');
    }
}

/// Where a prompt's cached tokens were, as SGLang (0.5.23) reports it to requests that set
/// `return_cached_tokens_details`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct CachedDetails {
    pub(crate) device: u32,
    pub(crate) host: u32,
    /// What lies behind the host, if anything does.
    pub(crate) storage: Option<Storage>,
}

/// All tiers behind the host, together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Storage {
    pub(crate) tokens: u32,
    pub(crate) backends: Vec<&'static str>,
}

impl CachedDetails {
    /// `,"sglext":{"cached_tokens_details":{…}}`.
    pub(crate) fn push(&self, out: &mut String) {
        let Self { device, host, storage } = self;
        let _ = write!(
            out,
            ",\"sglext\":{{\"cached_tokens_details\":{{\"device\":{device},\"host\":{host}"
        );
        if let Some(Storage { tokens, backends }) = storage {
            let backends = backends.join("+");
            let _ = write!(out, ",\"storage\":{tokens},\"storage_backend\":\"{backends}\"");
        }
        out.push_str("}}");
    }
}

/// Server-side times of one request, as `--enable-per-request-metrics` shows them. Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RequestMetrics {
    /// From scheduling to the first token.
    pub(crate) time_to_first_token_ms: f64,
    /// From the first to the last token.
    pub(crate) generation_time_ms: f64,
    /// From arrival to scheduling.
    pub(crate) queue_time_ms: f64,
    /// `None` for an answer of one token.
    pub(crate) mean_itl_ms: Option<f64>,
    /// Answer tokens by the time from scheduling to the last one.
    pub(crate) tokens_per_second: f64,
}

impl RequestMetrics {
    /// `{…`, still open: a plain body has one more field than a stream.
    pub(crate) fn push(&self, out: &mut String) {
        let _ = write!(
            out,
            "{{\"time_to_first_token_ms\":{},\"generation_time_ms\":{},\"queue_time_ms\":{},\
             \"mean_itl_ms\":{},\"tokens_per_second\":{}",
            float(self.time_to_first_token_ms),
            float(self.generation_time_ms),
            float(self.queue_time_ms),
            self.mean_itl_ms.map_or_else(|| "null".to_owned(), float),
            float(self.tokens_per_second),
        );
    }

    /// `,"metrics":…}` that ends a plain body.
    pub(crate) fn push_whole(metrics: Option<&Self>, out: &mut String) {
        out.push_str(",\"metrics\":");
        match metrics {
            None => out.push_str("null"),
            Some(metrics) => {
                metrics.push(out);
                out.push_str(",\"speculative_decoding\":null}");
            }
        }
        out.push('}');
    }
}

/// Everything a finished answer says.
#[derive(Clone, Debug)]
pub(crate) struct Finished<'a> {
    pub(crate) text: &'a str,
    pub(crate) reason: FinishReason,
    pub(crate) usage: Usage,
    /// If the request asked for it.
    pub(crate) cached_details: Option<CachedDetails>,
    /// Token ids of prompt and answer, if the request asked for them.
    pub(crate) ids: Option<(&'a [u32], &'a [u32])>,
    pub(crate) metrics: Option<RequestMetrics>,
}

/// The API's word for why an answer ended.
pub(crate) const fn reason_name(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Abort => "abort",
    }
}

/// Which endpoint answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Api {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completion,
}

impl Api {
    /// What the answer's id starts with.
    pub(crate) const fn id_prefix(self) -> &'static str {
        match self {
            Self::Chat => "chatcmpl-",
            Self::Completion => "cmpl-",
        }
    }

    /// What its events call themselves.
    pub(crate) const fn event_object(self) -> &'static str {
        match self {
            Self::Chat => super::chat::CHUNK,
            Self::Completion => super::completions::OBJECT,
        }
    }

    /// Where it is asked.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completion => "/v1/completions",
        }
    }

    /// The plain JSON body.
    pub(crate) fn whole(self, meta: &Meta, answer: &Finished<'_>) -> String {
        match self {
            Self::Chat => super::chat::whole(meta, answer),
            Self::Completion => super::completions::whole(meta, answer),
        }
    }
}
