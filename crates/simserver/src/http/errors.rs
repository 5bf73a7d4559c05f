use hyper::StatusCode;

use super::json::{describe, float, push_optional, push_string};
use serde_json::Value;

/// An answer that is not a success, with the words and the JSON of vLLM 0.32 (recorded 2026-11-24).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// The `type` field.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
}

impl ApiError {
    /// A request that asks for something impossible.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "BadRequestError",
            message: message.into(),
            param: None,
        }
    }

    /// [`ApiError::bad_request`] about one parameter; the message names it and, if given, its value.
    pub(crate) fn parameter(message: &str, param: &str, value: Option<&str>) -> Self {
        let value = value.map_or_else(String::new, |value| format!(", value={value}"));
        Self {
            param: Some(param.to_owned()),
            ..Self::bad_request(format!("{message} (parameter={param}{value})"))
        }
    }

    /// A body that is not what the endpoint takes.
    pub(crate) fn validation(kind: &str, location: &str, message: &str, input: &str) -> Self {
        Self::raw_validation(
            format!(
                "{{'type': '{kind}', 'loc': '{location}', 'msg': '{message}', 'input': '{input}'}}"
            ),
            Some(location),
        )
    }

    /// A validation error with extra context in its text.
    pub(crate) fn raw_validation(text: impl std::fmt::Display, location: Option<&str>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "Bad Request",
            message: format!("1 validation error:\n  {text}"),
            param: location.map(str::to_owned),
        }
    }

    /// A required field is missing from `object`.
    pub(crate) fn missing(location: &str, object: &Value) -> Self {
        Self::validation("missing", location, "Field required", &describe(object))
    }

    /// A body that is not JSON. `at` counts characters from the start.
    pub(crate) fn malformed(at: usize, reason: &str) -> Self {
        Self::raw_validation(
            format!(
                "{{'type': 'json_invalid', 'loc': 'body.{at}', 'msg': 'JSON decode error', \
                 'input': '<dict of 0 items>', 'ctx': {{'error': '{reason}'}}}}"
            ),
            Some(&format!("body.{at}")),
        )
    }

    /// A model that is not served here.
    pub(crate) fn unknown_model(asked: &str, served: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            kind: "NotFoundError",
            message: format!("The model `{asked}` does not exist. Valid aliases: {served}."),
            param: Some("model".to_owned()),
        }
    }

    /// A prompt that fills the model's whole length or more.
    pub(crate) fn prompt_too_long(max_model_len: u32) -> Self {
        let at_least = u64::from(max_model_len) + 1;
        Self::parameter(
            &format!(
                "This model's maximum context length is {max_model_len} tokens. However, your \
                 prompt contains at least {at_least} input tokens, which exceeds this limit even \
                 without any output tokens. Please reduce the length of the input prompt."
            ),
            "input_tokens",
            Some(&at_least.to_string()),
        )
    }

    /// An answer length below 1.
    pub(crate) fn max_tokens_too_small(value: i64) -> Self {
        let message = format!("max_tokens must be at least 1, got {value}.");
        Self::parameter(&message, "max_tokens", Some(&value.to_string()))
    }

    /// A number outside its range.
    pub(crate) fn float_range(name: &str, allowed: &str, value: f64) -> Self {
        let value = float(value);
        let message = format!("{name} must be {allowed}, got {value}.");
        Self::parameter(&message, name, Some(&value))
    }

    /// Something the simulated server does not do; real ones do.
    pub(crate) fn unsupported(what: &str) -> Self {
        Self::bad_request(format!("{what} is not supported by this simulated server."))
    }

    /// The server itself failed.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: "InternalServerError",
            message: message.into(),
            param: None,
        }
    }

    /// The body.
    pub(crate) fn body(&self) -> String {
        let mut out = String::from("{\"error\":{\"message\":");
        push_string(&mut out, &self.message);
        out.push_str(",\"type\":");
        push_string(&mut out, self.kind);
        out.push_str(",\"param\":");
        push_optional(&mut out, self.param.as_deref());
        out.push_str(",\"code\":");
        out.push_str(self.status.as_str());
        out.push_str("}}");
        out
    }
}
