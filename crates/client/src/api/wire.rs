//! Chunks and answers of the chat API, as they are on the wire; texts borrowed where they can be.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use turnbench_model::{CachedByTier, ServerTimes, Usage};

use crate::api::json_text::text_of;

/// One event's object, or a whole plain answer.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(crate) choices: Choices<'a>,
    #[serde(borrow, default)]
    pub(crate) usage: Option<UsageText<'a>>,
    /// vLLM's, with `--enable-per-request-metrics`.
    #[serde(default)]
    pub(crate) metrics: Option<Metrics>,
    /// SGLang's extension.
    #[serde(default)]
    pub(crate) sglext: Option<SglExtension>,
    /// llama.cpp's.
    #[serde(default)]
    pub(crate) timings: Option<LlamaTimings>,
    #[serde(default)]
    pub(crate) error: Option<IgnoredAny>,
}

/// The choices, of which only the one with index 0 is looked at.
#[derive(Debug, Default)]
pub(crate) struct Choices<'a> {
    /// Whether there was a list.
    pub(crate) present: bool,
    /// The choice with index 0, or without an index.
    pub(crate) first: Option<Choice<'a>>,
}

#[derive(Debug, serde::Deserialize)]
pub(crate) struct Choice<'a> {
    #[serde(default)]
    pub(crate) index: Option<u64>,
    #[serde(borrow, default)]
    pub(crate) delta: Option<Piece<'a>>,
    #[serde(borrow, default)]
    pub(crate) message: Option<Piece<'a>>,
    /// Of the completions API.
    #[serde(borrow, default)]
    pub(crate) text: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) finish_reason: Text<'a>,
}

/// A delta, or a whole message.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Piece<'a> {
    #[serde(borrow, default)]
    pub(crate) content: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) reasoning: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) reasoning_content: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) tool_calls: Option<Vec<ToolCallPiece<'a>>>,
    /// The older form of a single tool call.
    #[serde(borrow, default)]
    pub(crate) function_call: Option<FunctionPiece<'a>>,
}

#[derive(Debug, serde::Deserialize)]
pub(crate) struct ToolCallPiece<'a> {
    #[serde(default)]
    pub(crate) index: Option<u64>,
    #[serde(borrow, default)]
    pub(crate) id: Text<'a>,
    #[serde(borrow, default, rename = "type")]
    pub(crate) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) function: Option<FunctionPiece<'a>>,
}

#[derive(Debug, serde::Deserialize)]
pub(crate) struct FunctionPiece<'a> {
    #[serde(borrow, default)]
    pub(crate) name: Text<'a>,
    #[serde(borrow, default)]
    pub(crate) arguments: Text<'a>,
}

/// A usage, and the JSON text that says it.
#[derive(Debug)]
pub(crate) struct UsageText<'a> {
    pub(crate) json: &'a str,
    pub(crate) usage: Usage,
}

impl<'de: 'a, 'a> Deserialize<'de> for UsageText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&'de RawValue>::deserialize(deserializer)?.get();
        let usage = usage_of(json).map_err(|error| D::Error::custom(format!("usage: {error}")))?;
        Ok(Self { json, usage })
    }
}

/// The usage that a JSON text says.
pub(crate) fn usage_of(json: &str) -> Result<Usage, serde_json::Error> {
    Ok(serde_json::from_str::<UsageWire>(json)?.usage())
}

#[derive(Debug, serde::Deserialize)]
struct UsageWire {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, serde::Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Count,
}

#[derive(Debug, serde::Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

impl UsageWire {
    fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt_tokens.0,
            completion_tokens: self.completion_tokens.0,
            cached_tokens: self.prompt_tokens_details.as_ref().and_then(|it| it.cached_tokens.0),
            cached_by_tier: None,
            cached_source: None,
            reasoning_tokens: self
                .completion_tokens_details
                .as_ref()
                .and_then(|it| it.reasoning_tokens.0),
        }
    }
}

/// A server's own times; anything that is no number counts as not reported.
#[derive(Debug)]
pub(crate) struct Metrics(pub(crate) ServerTimes);

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = |key: &str| value.get(key).and_then(Value::as_f64);
        Ok(Self(ServerTimes {
            time_to_first_token_ms: number("time_to_first_token_ms"),
            generation_time_ms: number("generation_time_ms"),
            queue_time_ms: number("queue_time_ms"),
            mean_itl_ms: number("mean_itl_ms"),
        }))
    }
}

/// `sglext.cached_tokens_details`; anything of another form counts as not reported.
#[derive(Debug)]
pub(crate) struct SglExtension(pub(crate) Option<CachedByTier>);

impl<'de> Deserialize<'de> for SglExtension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let details = value.get("cached_tokens_details").and_then(Value::as_object);
        let tiers = details.map(|details| {
            let count = |key: &str| details.get(key).and_then(whole_number);
            let backend = details.get("storage_backend").and_then(Value::as_str);
            CachedByTier {
                device: count("device"),
                host: count("host"),
                storage: count("storage"),
                storage_backend: backend.map(str::to_owned),
            }
        });
        Ok(Self(tiers.filter(|tiers| *tiers != CachedByTier::default())))
    }
}

/// What of llama.cpp's `timings` is not elsewhere: prompt tokens from its cache, where told.
#[derive(Debug)]
pub(crate) struct LlamaTimings {
    pub(crate) cached_tokens: Option<u64>,
}

impl<'de> Deserialize<'de> for LlamaTimings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self { cached_tokens: value.get("cache_n").and_then(whole_number) })
    }
}

/// A text, as the inside of a JSON string: borrowed as the server spelled it. `null` and missing are
/// empty; parts (`[{"type": "text", "text": …}]`) are joined and spelled anew.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// The inside of a JSON string.
    pub(crate) fn json(&self) -> &str {
        &self.0
    }

    /// The same, where it is as the server spelled it.
    pub(crate) const fn borrowed(&self) -> Option<&'a str> {
        match self.0 {
            Cow::Borrowed(json) => Some(json),
            Cow::Owned(_) => None,
        }
    }

    /// What it says.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        text_of(&self.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&'de RawValue>::deserialize(deserializer)?.get();
        match json.as_bytes() {
            b"null" => Ok(Self::default()),
            [b'"', .., b'"'] => Ok(Self(Cow::Borrowed(&json[1..json.len() - 1]))),
            [b'[', ..] => {
                let parts: Vec<Value> = serde_json::from_str(json).map_err(D::Error::custom)?;
                Ok(Self(Cow::Owned(joined(&parts))))
            }
            _ => Err(D::Error::custom("expected a string, null or a list of text parts")),
        }
    }
}

/// The texts of parts as the inside of one JSON string.
fn joined(parts: &[Value]) -> String {
    let mut text = String::new();
    for part in parts {
        let part = part.as_str().or_else(|| part.get("text")?.as_str());
        text.push_str(part.unwrap_or_default());
    }
    let quoted = Value::String(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// A token count; anything that is no whole number counts as not reported.
#[derive(Clone, Copy, Debug, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(whole_number(&Value::deserialize(deserializer)?)))
    }
}

fn whole_number(value: &Value) -> Option<u64> {
    let whole = |number: f64| {
        (number >= 0.0 && number.fract() == 0.0 && number < 9e15).then_some(number as u64)
    };
    value.as_u64().or_else(|| value.as_f64().and_then(whole))
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChoicesVisitor)
    }
}

struct ChoicesVisitor;

impl<'de> Visitor<'de> for ChoicesVisitor {
    type Value = Choices<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of choices")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Choices::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut choices = Choices { present: true, first: None };
        while let Some(choice) = list.next_element::<Choice<'de>>()? {
            if choice.index.unwrap_or(0) == 0 && choices.first.is_none() {
                choices.first = Some(choice);
            }
        }
        Ok(choices)
    }
}
