use serde_json::{Map, Value};

use super::errors::ApiError;
use super::json::describe;

/// Reads the fields of a request's JSON object, with vLLM's words for what cannot be read. Fields
/// nobody asks for are ignored, as vLLM ignores unknown ones.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Where the object lies: `body` or `body.stream_options`.
    path: String,
}

impl<'a> Fields<'a> {
    /// Fields of the whole body.
    ///
    /// # Errors
    /// When the body is not an object.
    pub(crate) fn of_body(body: &'a Value) -> Result<Self, ApiError> {
        let object = body.as_object().ok_or_else(|| {
            ApiError::validation(
                "model_attributes_type",
                "body",
                "Input should be a valid dictionary or object to extract fields from",
                &describe(body),
            )
        })?;
        Ok(Self { object, path: "body".to_owned() })
    }

    /// A field that is there and not `null`.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// The location of a field in an error.
    pub(crate) fn location(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn wrong(&self, name: &str, kind: &str, message: &str, value: &Value) -> ApiError {
        ApiError::validation(kind, &self.location(name), message, &describe(value))
    }

    /// The error for a required field that is not there.
    pub(crate) fn missing(&self, name: &str) -> ApiError {
        let count = self.object.len();
        ApiError::validation(
            "missing",
            &self.location(name),
            "Field required",
            &format!("<dict of {count} items>"),
        )
    }

    /// An integer; text and floats that spell one are taken too.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        if let Some(integer) = value.as_i64() {
            return Ok(Some(integer));
        }
        if let Some(float) = value.as_f64() {
            if float.fract() == 0.0 {
                return Ok(Some(float as i64));
            }
            let message = "Input should be a valid integer, got a number with a fractional part";
            return Err(self.wrong(name, "int_from_float", message, value));
        }
        if let Some(text) = value.as_str() {
            let message = "Input should be a valid integer, unable to parse string as an integer";
            return (text.trim().parse().map(Some))
                .map_err(|_| self.wrong(name, "int_parsing", message, value));
        }
        Err(self.wrong(name, "int_type", "Input should be a valid integer", value))
    }

    /// A number.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        if let Some(float) = value.as_f64() {
            return Ok(Some(float));
        }
        if let Some(text) = value.as_str() {
            let message = "Input should be a valid number, unable to parse string as a number";
            return (text.trim().parse().map(Some))
                .map_err(|_| self.wrong(name, "float_parsing", message, value));
        }
        Err(self.wrong(name, "float_type", "Input should be a valid number", value))
    }

    /// A truth value, `false` if absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        let Some(value) = self.value(name) else { return Ok(false) };
        value
            .as_bool()
            .ok_or_else(|| self.wrong(name, "bool_type", "Input should be a valid boolean", value))
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        (value.as_str().map(Some))
            .ok_or_else(|| self.wrong(name, "string_type", "Input should be a valid string", value))
    }

    /// A list.
    pub(crate) fn list(&self, name: &str) -> Result<Option<&'a [Value]>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        (value.as_array().map(|items| Some(items.as_slice())))
            .ok_or_else(|| self.wrong(name, "list_type", "Input should be a valid list", value))
    }

    /// The fields of an object inside.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let Some(object) = value.as_object() else {
            let message = "Input should be a valid dictionary or object to extract fields from";
            return Err(self.wrong(name, "model_attributes_type", message, value));
        };
        Ok(Some(Self { object, path: self.location(name) }))
    }
}

/// Parses a request's body.
///
/// # Errors
/// When the content type is not JSON, the body is empty, or is not JSON.
pub(crate) fn parse_json(content_type: Option<&str>, body: &[u8]) -> Result<Value, ApiError> {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let text = "Unsupported Media Type: Only 'application/json' is allowed";
        return Err(ApiError::raw_validation(text, None));
    }
    if body.is_empty() {
        return Err(ApiError::missing("body", &Value::Null));
    }
    serde_json::from_slice(body).map_err(|error| malformed(body, &error))
}

/// Where and why, in the words of Python's `json` as far as serde_json tells them apart.
fn malformed(body: &[u8], error: &serde_json::Error) -> ApiError {
    if error.is_eof() {
        return ApiError::malformed(
            String::from_utf8_lossy(body).chars().count(),
            "Expecting value",
        );
    }
    let before = body.split_inclusive(|&byte| byte == b'\n').take(error.line().saturating_sub(1));
    let start = before.map(<[u8]>::len).sum::<usize>();
    let end = (start + error.column().saturating_sub(1)).min(body.len());
    let at = String::from_utf8_lossy(&body[..end]).chars().count();
    let text = error.to_string();
    let reason = if text.starts_with("trailing characters") {
        "Extra data"
    } else if text.contains("`,`") {
        "Expecting \\',\\' delimiter"
    } else if text.starts_with("key must be a string") {
        "Expecting property name enclosed in double quotes"
    } else {
        "Expecting value"
    };
    ApiError::malformed(at, reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::parse_json;
    use crate::http::request::{ChatRequest, CompletionRequest};
    use crate::http::tokenize::{TokenizeRequest, parse_detokenize};

    fn check(body: &str, at: usize, reason: &str) {
        let error = parse_json(Some("application/json"), body.as_bytes()).unwrap_err();
        let param = format!("body.{at}");
        assert_eq!(error.param.as_deref(), Some(param.as_str()), "{body}");
        assert!(error.message.contains(reason), "{}", error.message);
    }

    #[test]
    fn malformed_json_is_located_by_characters() {
        check("{\"model\": ", 10, "Expecting value");
        check("{\"é\": x}", 6, "Expecting value");
        check("{}\n\n]", 4, "Extra data");
        check("{1: 2}", 1, "Expecting property name");
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z0-9]{0,4}".prop_map(Value::from),
        ];
        let names = prop::sample::select(vec![
            "messages",
            "role",
            "content",
            "prompt",
            "tokens",
            "model",
            "max_tokens",
            "min_tokens",
            "stream",
            "stream_options",
            "include_usage",
            "n",
            "seed",
            "temperature",
            "top_p",
        ]);
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let fields = prop::collection::vec((names.clone(), inner.clone()), 0..8);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                fields.prop_map(|fields| {
                    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
                    Value::Object(fields.collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_or_refused(body in json()) {
            let refusals = [
                ChatRequest::parse(&body, 64).err(),
                CompletionRequest::parse(&body, 64, 100).err(),
                TokenizeRequest::parse(&body).err(),
                parse_detokenize(&body).err(),
            ];
            for refusal in refusals.into_iter().flatten() {
                prop_assert!(refusal.status.is_client_error(), "{}", refusal.message);
                prop_assert!(!refusal.message.is_empty());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let parsed = parse_json(Some("application/json"), &body);
            let expect = serde_json::from_slice::<Value>(&body).ok();
            prop_assert_eq!(parsed.as_ref().ok(), expect.as_ref());
            prop_assert!(parsed.err().is_none_or(|it| it.status.is_client_error()));
        }
    }
}
