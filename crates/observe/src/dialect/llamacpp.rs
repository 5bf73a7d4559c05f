//! llama.cpp's server (names of build 11434), which shows them with `--metrics`. Its
//! `prompt_tokens_total` is of tokens that were computed; those from its cache are apart.

use turnbench_model::Figure;

use super::{Dialect, Rule, value};

pub(crate) const DIALECT: Dialect = Dialect::new("llamacpp", RULES);

const RULES: &[Rule] = &[
    value(Figure::PromptTokensComputed, "llamacpp:prompt_tokens"),
    value(Figure::CachedTokens, "llamacpp:prompt_tokens_cached"),
    value(Figure::CachedTokensDevice, "llamacpp:prompt_tokens_cached"),
    value(Figure::GenerationTokens, "llamacpp:tokens_predicted"),
    value(Figure::KvUsage, "llamacpp:kv_cache_usage_ratio"),
    value(Figure::RequestsRunning, "llamacpp:requests_processing"),
    value(Figure::RequestsWaiting, "llamacpp:requests_deferred"),
    value(Figure::PrefillSeconds, "llamacpp:prompt_seconds"),
    value(Figure::DecodeSeconds, "llamacpp:tokens_predicted_seconds"),
];
