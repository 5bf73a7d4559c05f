use std::fmt::Write;

use serde_json::Value;
use turnbench_model::Message;

use super::errors::ApiError;
use super::fields::Fields;
use super::json::{describe, push_ids, push_string};
use super::request::messages;

/// What `/tokenize` is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TokenizeRequest {
    pub(crate) model: Option<String>,
    pub(crate) input: TokenizeInput,
    /// The text of each token as well.
    pub(crate) return_token_strs: bool,
}

/// The text to tokenize.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenizeInput {
    Text(String),
    /// A conversation; `open` adds the opening of the answer.
    Messages {
        messages: Vec<Message>,
        open: bool,
    },
}

impl TokenizeRequest {
    /// Reads the body. `add_special_tokens` is ignored: the tokenizers here add none.
    pub(crate) fn parse(body: &Value) -> Result<Self, ApiError> {
        let fields = Fields::of_body(body)?;
        let input = if let Some(messages) = messages(&fields)? {
            let open = fields.value("add_generation_prompt").is_none()
                || fields.flag("add_generation_prompt")?;
            if fields.flag("continue_final_message")? {
                return Err(if open {
                    let both = "Cannot set both `continue_final_message` and \
                                `add_generation_prompt` to True.";
                    ApiError::bad_request(both)
                } else {
                    ApiError::unsupported("continue_final_message")
                });
            }
            TokenizeInput::Messages { messages, open }
        } else {
            let text = fields.text("prompt")?.ok_or_else(|| fields.missing("prompt"))?;
            TokenizeInput::Text(text.to_owned())
        };
        Ok(Self {
            model: fields.text("model")?.map(str::to_owned),
            input,
            return_token_strs: fields.flag("return_token_strs")?,
        })
    }
}

/// The body of an answer to `/tokenize`.
pub(crate) fn tokens_body(ids: &[u32], max_model_len: u32, texts: Option<&[String]>) -> String {
    let mut out = String::new();
    let _ = write!(out, "{{\"count\":{},\"max_model_len\":{max_model_len},\"tokens\":", ids.len());
    push_ids(&mut out, Some(ids));
    out.push_str(",\"token_strs\":");
    match texts {
        None => out.push_str("null"),
        Some(texts) => {
            out.push('[');
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_string(&mut out, text);
            }
            out.push(']');
        }
    }
    out.push('}');
    out
}

/// What `/detokenize` is asked for: model and ids.
pub(crate) fn parse_detokenize(body: &Value) -> Result<(Option<String>, Vec<u32>), ApiError> {
    let fields = Fields::of_body(body)?;
    let list = fields.list("tokens")?.ok_or_else(|| fields.missing("tokens"))?;
    let ids = list.iter().enumerate().map(|(index, value)| {
        let location = format!("body.tokens.{index}");
        let input = describe(value);
        match value.as_i64() {
            None => {
                let message = "Input should be a valid integer";
                Err(ApiError::validation("int_type", &location, message, &input))
            }
            Some(id) if id < 0 => Err(ApiError::raw_validation(
                format!(
                    "{{'type': 'greater_than_equal', 'loc': '{location}', 'msg': 'Input should be \
                     greater than or equal to 0', 'input': '{input}', 'ctx': {{'ge': 0}}}}"
                ),
                Some(&location),
            )),
            Some(id) => u32::try_from(id)
                .map_err(|_| ApiError::bad_request(format!("Token id {id} is out of vocabulary"))),
        }
    });
    Ok((fields.text("model")?.map(str::to_owned), ids.collect::<Result<_, _>>()?))
}

/// The body of an answer to `/detokenize`.
pub(crate) fn text_body(text: &str) -> String {
    let mut out = String::from("{\"prompt\":");
    push_string(&mut out, text);
    out.push('}');
    out
}
