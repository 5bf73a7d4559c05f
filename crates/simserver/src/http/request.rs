use std::sync::Arc;

use serde_json::Value;
use turnbench_model::Message;

use super::errors::ApiError;
use super::fields::Fields;

/// What vLLM takes for `max_tokens` of a completion request that names none.
const COMPLETION_MAX_TOKENS_DEFAULT: u32 = 16;

/// How a streamed answer reports usage.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct StreamFlags {
    pub(crate) include_usage: bool,
    /// Usage in every event; only together with `include_usage`.
    pub(crate) continuous_usage: bool,
}

/// The parameters that chat and text completions share.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sampling {
    pub(crate) model: Option<String>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) min_tokens: u32,
    pub(crate) ignore_eos: bool,
    pub(crate) seed: Option<i64>,
    /// `None`: one JSON body.
    pub(crate) stream: Option<StreamFlags>,
    pub(crate) return_token_ids: bool,
    /// SGLang's field, not vLLM's.
    pub(crate) return_cached_tokens_details: bool,
    pub(crate) cache_salt: Option<Arc<str>>,
}

/// A chat request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChatRequest {
    pub(crate) messages: Vec<Message>,
    pub(crate) sampling: Sampling,
}

/// A prompt that is text or ready token ids.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Prompt {
    Text(String),
    Ids(Vec<u32>),
}

/// A text completion request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CompletionRequest {
    pub(crate) prompt: Prompt,
    pub(crate) sampling: Sampling,
}

/// Refuses a model that is not the served one; `None` is the served one.
pub(crate) fn check_model(asked: Option<&str>, served: &str) -> Result<(), ApiError> {
    match asked {
        Some(asked) if asked != served => Err(ApiError::unknown_model(asked, served)),
        _ => Ok(()),
    }
}

impl ChatRequest {
    /// Reads the body.
    pub(crate) fn parse(body: &Value, max_model_len: u32) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let messages = messages(&fields)?.ok_or_else(|| fields.missing("messages"))?;
        let name = if fields.value("max_completion_tokens").is_some() {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        let sampling = Sampling::parse(&fields, fields.integer(name)?, max_model_len)?;
        for refused in ["logprobs", "echo", "prompt_logprobs"] {
            refuse(&fields, refused)?;
        }
        Ok(Self { messages, sampling })
    }
}

impl CompletionRequest {
    /// Reads the body. Ids must be below `vocab_size`.
    pub(crate) fn parse(
        body: &Value,
        max_model_len: u32,
        vocab_size: u32,
    ) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let prompt = fields.value("prompt").ok_or_else(|| fields.missing("prompt"))?;
        let max_tokens = match fields.integer("max_tokens")? {
            None => i64::from(COMPLETION_MAX_TOKENS_DEFAULT.min(max_model_len)),
            Some(max_tokens) => max_tokens,
        };
        let sampling = Sampling::parse(&fields, Some(max_tokens), max_model_len)?;
        for refused in ["logprobs", "echo", "prompt_logprobs", "suffix"] {
            refuse(&fields, refused)?;
        }
        if fields.integer("best_of")?.is_some_and(|best_of| best_of > 1) {
            return Err(ApiError::unsupported("best_of above 1"));
        }
        Ok(Self { prompt: read_prompt(prompt, vocab_size)?, sampling })
    }
}

/// The messages of a chat or tokenize request.
pub(crate) fn messages(fields: &Fields<'_>) -> Result<Option<Vec<Message>>, ApiError> {
    let Some(list) = fields.list("messages")? else { return Ok(None) };
    let read = list.iter().enumerate().map(|(index, value)| {
        let location = fields.location(&format!("messages.{index}"));
        if value.as_object().is_some_and(|message| !message.contains_key("role")) {
            return Err(ApiError::missing(&format!("{location}.role"), value));
        }
        serde_json::from_value(value.clone()).map_err(|_| {
            let message = "Input should be a valid message";
            ApiError::validation("model_type", &location, message, &super::json::describe(value))
        })
    });
    let messages = read.collect::<Result<Vec<Message>, _>>()?;
    if messages.is_empty() {
        return Err(ApiError::bad_request(
            "Cannot apply chat template to an empty conversation. Provide at least one message.",
        ));
    }
    Ok(Some(messages))
}

fn refuse(fields: &Fields<'_>, name: &str) -> Result<(), ApiError> {
    match fields.value(name) {
        None | Some(Value::Bool(false)) => Ok(()),
        Some(_) => Err(ApiError::unsupported(name)),
    }
}

fn read_prompt(prompt: &Value, vocab_size: u32) -> Result<Prompt, ApiError> {
    let wrong = || {
        let input = super::json::describe(prompt);
        let message = "Input should be a text or a list of token ids";
        ApiError::validation("prompt_type", "body.prompt", message, &input)
    };
    match prompt {
        Value::String(text) => Ok(Prompt::Text(text.clone())),
        Value::Array(items) if items.is_empty() => {
            Err(ApiError::bad_request("You must pass at least one prompt"))
        }
        Value::Array(items) if items[0].is_number() => {
            let ids = items.iter().map(|item| {
                let id = item.as_i64().ok_or_else(wrong)?;
                u32::try_from(id).ok().filter(|&id| id < vocab_size).ok_or_else(|| {
                    ApiError::bad_request(format!("Token id {id} is out of vocabulary"))
                })
            });
            Ok(Prompt::Ids(ids.collect::<Result<_, _>>()?))
        }
        Value::Array(items) if items.len() == 1 => read_prompt(&items[0], vocab_size),
        Value::Array(items) if items[0].is_string() || items[0].is_array() => {
            Err(ApiError::unsupported("more than one prompt in a request"))
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(wrong())
        }
    }
}

impl Sampling {
    fn parse(
        fields: &Fields<'_>,
        max_tokens: Option<i64>,
        max_model_len: u32,
    ) -> Result<Self, ApiError> {
        let stream = stream_flags(fields)?;
        let n = fields.integer("n")?.unwrap_or(1);
        if n < 1 {
            return Err(ApiError::bad_request(format!("n must be at least 1, got {n}.")));
        }
        if n > 1 {
            return Err(ApiError::unsupported("n above 1"));
        }
        if let Some(temperature) = fields.float("temperature")?.filter(|&value| value < 0.0) {
            return Err(ApiError::float_range("temperature", "non-negative", temperature));
        }
        if let Some(top_p) = fields.float("top_p")?.filter(|&value| value <= 0.0 || value > 1.0) {
            return Err(ApiError::float_range("top_p", "in (0, 1]", top_p));
        }
        let max_tokens =
            max_tokens.map(|value| check_max_tokens(value, max_model_len)).transpose()?;
        let min_tokens = fields.integer("min_tokens")?.unwrap_or(0);
        if min_tokens < 0 {
            let text = format!("min_tokens must be greater than or equal to 0, got {min_tokens}.");
            return Err(ApiError::bad_request(text));
        }
        if let Some(max_tokens) = max_tokens.filter(|&max| i64::from(max) < min_tokens) {
            return Err(ApiError::bad_request(format!(
                "min_tokens must be less than or equal to max_tokens={max_tokens}, got {min_tokens}."
            )));
        }
        Ok(Self {
            model: fields.text("model")?.map(str::to_owned),
            max_tokens,
            min_tokens: u32::try_from(min_tokens).unwrap_or(u32::MAX),
            ignore_eos: fields.flag("ignore_eos")?,
            seed: fields.integer("seed")?,
            stream,
            return_token_ids: fields.flag("return_token_ids")?,
            return_cached_tokens_details: fields.flag("return_cached_tokens_details")?,
            cache_salt: fields.text("cache_salt")?.map(Arc::from),
        })
    }
}

fn check_max_tokens(value: i64, max_model_len: u32) -> Result<u32, ApiError> {
    if value < 1 {
        return Err(ApiError::max_tokens_too_small(value));
    }
    u32::try_from(value).ok().filter(|&value| value <= max_model_len).ok_or_else(|| {
        let message = format!(
            "max_tokens={value} cannot be greater than max_model_len={max_model_len}. Please \
             request fewer output tokens."
        );
        ApiError::parameter(&message, "max_tokens", Some(&value.to_string()))
    })
}

fn stream_flags(fields: &Fields<'_>) -> Result<Option<StreamFlags>, ApiError> {
    let stream = fields.flag("stream")?;
    let options = fields.object("stream_options")?;
    if !stream && options.is_some() {
        let message = "Stream options can only be defined when `stream=True`.";
        return Err(ApiError::parameter(message, "stream_options", None));
    }
    if !stream {
        return Ok(None);
    }
    let Some(options) = options else { return Ok(Some(StreamFlags::default())) };
    let include_usage = options.flag("include_usage")?;
    let continuous_usage = include_usage && options.flag("continuous_usage_stats")?;
    Ok(Some(StreamFlags { include_usage, continuous_usage }))
}

/// How many answer tokens a request may get after a prompt of `prompt_tokens`.
///
/// # Errors
/// When the prompt leaves no room for one.
pub(crate) fn answer_room(prompt_tokens: usize, max_model_len: u32) -> Result<u32, ApiError> {
    let prompt_tokens = u32::try_from(prompt_tokens).unwrap_or(u32::MAX);
    match max_model_len.checked_sub(prompt_tokens) {
        None => Err(ApiError::prompt_too_long(max_model_len)),
        Some(0) => Err(ApiError::max_tokens_too_small(0)),
        Some(room) => Ok(room),
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiError, ChatRequest, CompletionRequest, Prompt, answer_room};
    use serde_json::json;

    fn chat_error(body: &serde_json::Value) -> String {
        ChatRequest::parse(body, 2048).unwrap_err().message
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let body = json!({"messages": [{"role": "user", "content": "x"}], "frobnicate": 7});
        assert_eq!(ChatRequest::parse(&body, 2048).unwrap().sampling.max_tokens, None);
    }

    #[test]
    fn continuous_usage_needs_include_usage() {
        let body = json!({
            "messages": [{"role": "user", "content": "x"}], "stream": true,
            "stream_options": {"include_usage": false, "continuous_usage_stats": true},
        });
        let stream = ChatRequest::parse(&body, 2048).unwrap().sampling.stream.unwrap();
        assert!(!stream.include_usage && !stream.continuous_usage);
    }

    #[test]
    fn what_the_simulation_cannot_do_is_refused() {
        let body = json!({"messages": [{"role": "user", "content": "x"}], "n": 2});
        assert!(chat_error(&body).contains("n above 1"));
        let body = json!({"messages": [{"role": "user", "content": "x"}], "logprobs": true});
        assert!(chat_error(&body).contains("logprobs"));
    }

    #[test]
    fn completions_take_text_or_ids_and_default_to_sixteen_tokens() {
        let parse = |body| CompletionRequest::parse(&body, 2048, 100);
        let ids = parse(json!({"prompt": [1, 2]})).unwrap();
        assert_eq!((ids.prompt, ids.sampling.max_tokens), (Prompt::Ids(vec![1, 2]), Some(16)));
        let text = parse(json!({"prompt": ["hi"], "max_tokens": 3})).unwrap();
        assert_eq!(text.prompt, Prompt::Text("hi".to_owned()));
        assert!(parse(json!({"prompt": ["a", "b"]})).is_err());
        assert!(parse(json!({"prompt": [1, 100]})).is_err());
        assert!(parse(json!({"prompt": {}})).is_err());
    }

    #[test]
    fn a_prompt_needs_room_for_one_token() {
        assert_eq!(answer_room(2047, 2048), Ok(1));
        assert_eq!(answer_room(2048, 2048), Err(ApiError::max_tokens_too_small(0)));
        assert_eq!(answer_room(2049, 2048), Err(ApiError::prompt_too_long(2048)));
    }
}
