use std::str::FromStr;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};
use turnbench_model::{Message, RecordedTurn};

use super::messages;
use crate::Warning;
use crate::format::openai::{tokens, tools};
use crate::format::row_groups::id_of;
use crate::format::{Item, Skipped};
use crate::json_file::Node;

/// A model call that a span tells of.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) span_id: Option<String>,
    pub(super) trace_id: Option<String>,
    /// What the instrumentation calls the conversation or session.
    pub(super) session: Option<String>,
    pub(super) input: Vec<Message>,
    pub(super) output: Option<Message>,
    /// When it began and ended, in nanoseconds since 1970.
    pub(super) start_ns: Option<i128>,
    pub(super) end_ns: Option<i128>,
    pub(super) recorded: RecordedTurn,
    pub(super) request: Map<String, Value>,
    /// A remark for the case that the request's settings are not the conversation's.
    pub(super) differs: Warning,
}

/// The model calls among spans, and which span is whose child.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) calls: Vec<Call>,
    /// Ids of the spans that spans have as parent, calls or not.
    pub(super) parents: FxHashMap<String, String>,
}

/// Settings of a request: attribute behind `gen_ai.request.`, key of the chat API.
const SETTINGS: [(&str, &str); 7] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("seed", "seed"),
    ("stop_sequences", "stop"),
];

/// Operations whose spans repeat the messages of the model calls within them.
const NOT_OF_A_MODEL: [&str; 4] = ["invoke_agent", "create_agent", "execute_tool", "embeddings"];

impl Calls {
    /// Whether there is no call.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// When the first call began.
    pub(super) fn begin_ns(&self) -> Option<i128> {
        self.calls.iter().filter_map(|call| call.start_ns).min()
    }

    /// Takes a span in; hands back a skip when it is a call that cannot be read.
    pub(super) fn take(&mut self, span: &Node) -> Option<Item> {
        let id = id_among(span, &["span_id", "spanId"]);
        let parent = id_among(span, &["parent_span_id", "parentSpanId", "parent_id"]);
        if let (Some(id), Some(parent)) = (&id, parent) {
            self.parents.insert(id.clone(), parent);
        }
        match call(span, id) {
            Ok(call) => {
                self.calls.extend(call);
                None
            }
            Err(skipped) => Some(Item::Skipped(skipped)),
        }
    }
}

/// The call that a span tells of; `None` where it is of something else.
fn call(span: &Node, span_id: Option<String>) -> Result<Option<Call>, Skipped> {
    span.object().map_err(|error| Skipped::new("no object", error))?;
    let attributes = span.key("attributes");
    let attribute = |name: &str| attributes.key(&format!("gen_ai.{name}"));
    let text = |name| attribute(name).value().and_then(Value::as_str);
    if text("operation.name").is_some_and(|name| NOT_OF_A_MODEL.contains(&name)) {
        return Ok(None);
    }
    let input = attribute("input.messages");
    if input.not_null().is_none() {
        if text("request.model").is_none() {
            return Ok(None);
        }
        let error = input.refuse("the messages of the request");
        return Err(Skipped::new("model call without messages", error));
    }
    let mut messages = messages::messages(&input)?;
    if let Some(system) = messages::instructions(&attribute("system_instructions"))? {
        messages.insert(0, system);
    }
    if messages.is_empty() {
        let error = input.refuse("a list with one message at least");
        return Err(Skipped::new("no messages", error));
    }
    let start_ns = time(span, &["start_time", "startTimeUnixNano", "start_time_unix_nano"])?;
    let end_ns = time(span, &["end_time", "endTimeUnixNano", "end_time_unix_nano"])?;
    let differs = Warning {
        field: span_id.as_ref().map_or_else(|| span.field.clone(), |id| format!("span {id}")),
        ..span.remark(
            "has other settings or tools than the first request of its conversation, which are \
             sent",
        )
    };
    let sessions = ["gen_ai.conversation.id", "session.id", "exgentic.session.id"];
    Ok(Some(Call {
        span_id,
        trace_id: id_among(span, &["trace_id", "traceId"]),
        session: sessions.iter().find_map(|key| id_of(attributes.value()?, key)),
        input: messages,
        output: output(&attributes)?,
        start_ns,
        end_ns,
        recorded: recorded(&attributes)?,
        request: request(&attributes)?,
        differs,
    }))
}

fn output(attributes: &Node) -> Result<Option<Message>, Skipped> {
    let list = attributes.key("gen_ai.output.messages");
    if list.not_null().is_some() {
        let all = messages::messages(&list)?;
        return Ok(all.into_iter().find(Message::is_assistant));
    }
    let text = attributes.key("gen_ai.output.text").value().and_then(Value::as_str);
    Ok(text.filter(|text| !text.is_empty()).map(|text| Message::new("assistant", text)))
}

fn recorded(attributes: &Node) -> Result<RecordedTurn, Skipped> {
    let count = |names: [&str; 2]| {
        let mut found = names.iter().map(|name| attributes.key(&format!("gen_ai.{name}")));
        let node = found.find(|node| node.not_null().is_some_and(|count| *count != 0));
        node.map_or(Ok(None), |node| tokens(&node))
    };
    let model = attributes.key("gen_ai.request.model");
    let recorded = RecordedTurn {
        model: model.value().and_then(Value::as_str).map(str::to_owned),
        prompt_tokens: count(["usage.input_tokens", "usage.prompt_tokens"])?,
        max_tokens: count(["request.max_tokens", "request.max_completion_tokens"])?,
        ..RecordedTurn::default()
    };
    Ok(match count(["usage.output_tokens", "usage.completion_tokens"])? {
        Some(tokens) => recorded.with_answer_tokens(tokens),
        None => recorded,
    })
}

fn request(attributes: &Node) -> Result<Map<String, Value>, Skipped> {
    let mut request = Map::new();
    for (attribute, key) in SETTINGS {
        let value = attributes.key(&format!("gen_ai.request.{attribute}"));
        request.extend(value.not_null().map(|value| (key.to_owned(), value.clone())));
    }
    let tools = tools(&attributes.key("gen_ai.tool.definitions"))?;
    request.extend(tools.map(|tools| ("tools".to_owned(), tools)));
    Ok(request)
}

/// An id of a span, which the Python SDK has in its `context`; an empty one is none.
fn id_among(span: &Node, keys: &[&str]) -> Option<String> {
    let value = span.value()?;
    let within = [Some(value), value.get("context")];
    let mut ids = within.into_iter().flatten().flat_map(|it| keys.iter().map(|key| id_of(it, key)));
    ids.find_map(|id| id.filter(|id| !id.is_empty()))
}

/// A time, in nanoseconds since 1970: RFC 3339 (UTC where no offset is given), or a whole number of
/// nanoseconds, which OTLP/JSON has as a string.
fn time(span: &Node, keys: &[&str]) -> Result<Option<i128>, Skipped> {
    let mut nodes = keys.iter().map(|key| span.key(key));
    let Some(node) = nodes.find(|node| node.not_null().is_some()) else { return Ok(None) };
    let parsed = match node.value() {
        Some(Value::Number(number)) => number.as_u64().map(i128::from),
        Some(Value::String(text)) => match u64::from_str(text) {
            Ok(nanos) => Some(i128::from(nanos)),
            Err(_) => calendar(text),
        },
        _ => None,
    };
    let allowed = "a time such as 2026-02-25T10:00:00.5Z, or nanoseconds since 1970";
    let refuse = || Skipped::new("malformed time", node.refuse(allowed));
    parsed.map(Some).ok_or_else(refuse)
}

fn calendar(text: &str) -> Option<i128> {
    let timestamp = Timestamp::from_str(text).ok().or_else(|| {
        let local = DateTime::from_str(text).ok()?;
        TimeZone::UTC.to_timestamp(local).ok()
    });
    timestamp.map(Timestamp::as_nanosecond)
}
