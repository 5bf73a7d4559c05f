use serde_json::{Map, Value};
use turnbench_model::{Content, Conversation, Message, Nanos, RecordedTurn, TurnRules};

use crate::format::openai::tools;
use crate::format::remarks::Remarks;
use crate::format::row_groups::{ParsedRow, RowGroup};
use crate::format::{Skipped, units};
use crate::json_file::Node;

const KEYS: [&str; 12] = [
    "conversation_id",
    "turn",
    "role",
    "content",
    "system",
    "tools",
    "tool_calls",
    "tool_results",
    "reasoning_content",
    "delay_seconds",
    "tool_call_id",
    "name",
];

const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];

/// Keys of a row that are keys of its message.
const OF_THE_MESSAGE: [&str; 4] = ["tool_calls", "reasoning_content", "tool_call_id", "name"];

/// The conversation that these rows are the messages of.
pub(super) fn conversation(
    group: &RowGroup,
    remarks: &mut Remarks,
) -> Result<Conversation, Skipped> {
    let rows = in_order(group)?;
    let mut build = Builder::default();
    for row in rows {
        build.row(&row.node(), remarks)?;
    }
    let id = group.id.clone().unwrap_or_default();
    let mut conversation =
        Conversation { request: build.request, ..Conversation::new(id, build.messages) };
    let turns = conversation.turns(TurnRules::default());
    if turns.is_empty() {
        let error = group.rows[0].node().refuse("the first of rows with a message to answer");
        return Err(Skipped::new("no message to answer", error));
    }
    if build.delays.iter().any(Option::is_some) {
        let think_time_ns = |delays: &[Option<Nanos>]| {
            let sum = |sum: Nanos, next: Nanos| Nanos(sum.0.saturating_add(next.0));
            delays.iter().copied().flatten().reduce(sum)
        };
        conversation.recorded = turns
            .into_iter()
            .map(|turn| RecordedTurn {
                think_time_ns: think_time_ns(&build.delays[turn.messages]),
                ..RecordedTurn::default()
            })
            .collect();
    }
    Ok(conversation)
}

/// The rows by their `turn`.
fn in_order(group: &RowGroup) -> Result<Vec<&ParsedRow>, Skipped> {
    let mut rows = Vec::with_capacity(group.rows.len());
    for row in &group.rows {
        let node = row.node();
        if group.id.is_none() {
            let error = node.key("conversation_id").refuse("a string or a whole number");
            return Err(Skipped::new("no conversation_id", error));
        }
        let turn = node.key("turn");
        let place = turn.value().and_then(Value::as_i64).ok_or_else(|| {
            Skipped::new("malformed turn", turn.refuse("the row's place in its conversation"))
        })?;
        rows.push((place, row));
    }
    rows.sort_by_key(|(place, _)| *place);
    if let Some(twice) = rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let allowed = format!("another place than that of row {}", twice[0].1.index());
        let error = twice[1].1.node().key("turn").refuse(&allowed);
        return Err(Skipped::new("two rows in one place", error));
    }
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

#[derive(Default)]
struct Builder {
    messages: Vec<Message>,
    /// The delay before each message.
    delays: Vec<Option<Nanos>>,
    request: Map<String, Value>,
    system: Option<String>,
}

impl Builder {
    fn row(&mut self, row: &Node, remarks: &mut Remarks) -> Result<(), Skipped> {
        let malformed = |error| Skipped::new("malformed message", error);
        let role_node = row.key("role");
        let named = role_node.value().and_then(Value::as_str);
        let Some(role) = named.filter(|role| ROLES.contains(role)) else {
            let error = role_node.refuse("system, developer, user, assistant or tool");
            return Err(Skipped::new("unknown role", error));
        };
        self.head(row, remarks)?;
        let delay = units::seconds(&row.key("delay_seconds"))?.filter(|_| role != "assistant");
        let start = self.messages.len();
        let results = row.key("tool_results");
        if results.not_null().is_some() {
            let items = results.items().ok_or_else(|| malformed(results.refuse("a list")))?;
            for result in items {
                self.messages.push(tool_result(&result)?);
            }
        }
        let mut message = super::super::message(row).map_err(malformed)?;
        message
            .extra
            .retain(|key, value| OF_THE_MESSAGE.contains(&key.as_str()) && !value.is_null());
        let says_something = message.content != Content::Null || !message.extra.is_empty();
        if says_something || self.messages.len() == start {
            if message.content == Content::Null && !(role == "assistant" && says_something) {
                let error = row.key("content").refuse("a string or a list of parts");
                return Err(Skipped::new("message without content", error));
            }
            self.messages.push(message);
        }
        self.delays.resize(self.messages.len(), None);
        self.delays[start] = delay;
        remarks.note_unknown_keys(row, &KEYS);
        Ok(())
    }

    /// What stands for the conversation rather than for the row.
    fn head(&mut self, row: &Node, remarks: &mut Remarks) -> Result<(), Skipped> {
        let system = row.key("system");
        if system.not_null().is_some() {
            let text = system.string("a string");
            let text = text.map_err(|error| Skipped::new("malformed message", error))?;
            if self.system.as_deref() != Some(text) {
                self.system = Some(text.to_owned());
                self.messages.push(Message::new("system", text));
            }
        }
        if let Some(tools) = tools(&row.key("tools"))? {
            match self.request.get("tools") {
                None => {
                    self.request.insert("tools".to_owned(), tools);
                }
                Some(first) if *first != tools => {
                    let problem = "differs from the conversation's first tools and has no effect";
                    remarks.note(row, "tools", problem);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// One of a row's results as a message.
fn tool_result(node: &Node) -> Result<Message, Skipped> {
    let malformed = |error| Skipped::new("malformed tool result", error);
    let object = node.object().map_err(malformed)?;
    let content = match node.key("content").not_null() {
        None => return Err(malformed(node.key("content").refuse("the tool's output"))),
        Some(Value::String(text)) => Content::Text(text.clone()),
        Some(Value::Array(parts)) if parts.iter().all(Value::is_object) => {
            Content::Parts(parts.clone())
        }
        Some(value) => Content::Text(value.to_string()),
    };
    let extra = object
        .iter()
        .filter(|(key, value)| OF_THE_MESSAGE.contains(&key.as_str()) && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Ok(Message { role: "tool".to_owned(), content, extra })
}
