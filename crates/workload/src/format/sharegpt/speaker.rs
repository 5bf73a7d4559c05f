use serde_json::{Value, json};

/// What an entry of a list is, by its speaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speaker {
    /// A message of this role.
    Role(&'static str),
    /// Calls of tools by the assistant.
    Calls,
    /// The result of a tool.
    Result,
}

/// What is told to people whose file has another speaker.
pub(super) const ALLOWED: &str = "human, user, gpt, bing, chatgpt, bard, assistant, system, tool, \
                                  observation or function_call";

impl Speaker {
    /// The speaker of this name, in any case of letters.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "human" | "user" => Self::Role("user"),
            "gpt" | "bing" | "chatgpt" | "bard" | "assistant" => Self::Role("assistant"),
            "system" => Self::Role("system"),
            "developer" => Self::Role("developer"),
            "tool" | "observation" | "function_response" => Self::Result,
            "function_call" => Self::Calls,
            _ => return None,
        })
    }
}

/// Name and arguments (as JSON text) of the calls that a text holds: `{"name", "arguments"}`, or a
/// list of these.
pub(super) fn calls(text: &str) -> Option<Vec<(String, String)>> {
    let value: Value = serde_json::from_str(text).ok()?;
    let one = |call: &Value| {
        let arguments = match call.get("arguments").or_else(|| call.get("parameters")) {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        Some((call.get("name")?.as_str()?.to_owned(), arguments))
    };
    match value.as_array() {
        Some(calls) if !calls.is_empty() => calls.iter().map(one).collect(),
        Some(_) | None => Some(vec![one(&value)?]),
    }
}

/// A call as the API spells it.
pub(super) fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[cfg(test)]
mod tests {
    use super::{Speaker, calls};

    #[test]
    fn speakers_are_known_in_any_case_of_letters() {
        assert_eq!(Speaker::of("GPT"), Some(Speaker::Role("assistant")));
        assert_eq!(Speaker::of("Human"), Some(Speaker::Role("user")));
        assert_eq!(Speaker::of("observation"), Some(Speaker::Result));
        assert_eq!(Speaker::of("robot"), None);
    }

    #[test]
    fn calls_are_one_or_several_and_their_arguments_text() {
        let one = |name: &str, arguments: &str| (name.to_owned(), arguments.to_owned());
        let check = |text, expect: &[(String, String)]| {
            assert_eq!(calls(text).as_deref(), Some(expect), "{text}");
        };
        check(r#"{"name":"f","arguments":{"a":1}}"#, &[one("f", r#"{"a":1}"#)]);
        check(r#"[{"name":"f","arguments":"{}"},{"name":"g"}]"#, &[one("f", "{}"), one("g", "{}")]);
        for none in ["", "x", "[]", "5", r#"{"arguments":{}}"#, r#"[{"name":"f"},{}]"#] {
            assert_eq!(calls(none), None, "{none}");
        }
    }
}
