//! Chunks and answers of the chat API, as they are on the wire; texts borrowed where they can be.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use turnbench_model::Usage;

/// One event's object, or a whole plain answer.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(crate) choices: Choices<'a>,
    #[serde(default)]
    pub(crate) usage: Option<UsageWire>,
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

#[derive(Debug, serde::Deserialize)]
pub(crate) struct UsageWire {
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
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt_tokens.0,
            completion_tokens: self.completion_tokens.0,
            cached_tokens: self.prompt_tokens_details.as_ref().and_then(|it| it.cached_tokens.0),
            reasoning_tokens: self
                .completion_tokens_details
                .as_ref()
                .and_then(|it| it.reasoning_tokens.0),
        }
    }
}

/// A text: `null` and missing are empty; parts (`[{"type": "text", "text": …}]`) are joined.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, null or a list of text parts")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut text = String::new();
        while let Some(part) = parts.next_element::<Value>()? {
            let part = part.as_str().or_else(|| part.get("text")?.as_str());
            text.push_str(part.unwrap_or_default());
        }
        Ok(Cow::Owned(text))
    }
}

/// A token count; anything that is no whole number counts as not reported.
#[derive(Clone, Copy, Debug, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let whole = |number: f64| {
            (number >= 0.0 && number.fract() == 0.0 && number < 9e15).then_some(number as u64)
        };
        Ok(Self(value.as_u64().or_else(|| value.as_f64().and_then(whole))))
    }
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
