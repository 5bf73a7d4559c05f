use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One entry of a conversation, as the OpenAI chat API spells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant`, `tool`, or any other role the server knows.
    pub role: String,
    /// The text or the parts.
    #[serde(default)]
    pub content: Content,
    /// Every other key (`name`, `tool_calls`, `tool_call_id`, `reasoning_content`, …), sent as given.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Message {
    /// A plain text message.
    pub fn new(role: &str, text: impl Into<String>) -> Self {
        Self { role: role.to_owned(), content: Content::Text(text.into()), extra: Map::new() }
    }

    /// Whether this is an answer of the model.
    pub fn is_assistant(&self) -> bool {
        self.role == "assistant"
    }

    /// Whether this is the result of a tool call (or, in the older form, of a function call).
    pub fn answers_a_call(&self) -> bool {
        matches!(self.role.as_str(), "tool" | "function")
    }

    /// Whether the model is expected to answer it: neither an answer nor an instruction.
    pub fn asks(&self) -> bool {
        !matches!(self.role.as_str(), "assistant" | "system" | "developer")
    }
}

/// The content of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Multimodal parts, sent as given.
    Parts(Vec<Value>),
    /// `null` or missing, as beside tool calls.
    #[default]
    Null,
}

impl Content {
    /// All text in it: the text itself, or the `text` fields of its parts one after another.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => {
                parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()
            }
            Self::Null => String::new(),
        }
    }
}
