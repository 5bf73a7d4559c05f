//! Spans of OpenTelemetry's conventions for generative AI, as JSON.
//!
//! Files: documents `{"spans": […]}` (inference-perf's `examples/otel`), a list of spans or JSONL
//! of them, spans as the Python SDK prints them (`context`, `parent_id`), and OTLP/JSON
//! (`resourceSpans`, opentelemetry-proto 1.x). A span is a model call when it has
//! `gen_ai.input.messages` (a list, or a string of JSON), with `{"role", "content"}` as the chat
//! API has them or `{"role", "parts"}` (semantic conventions 1.37 and later); the answer is in
//! `gen_ai.output.messages` or `gen_ai.output.text`. Other spans only link calls to their callers.
//!
//! **Conversations** follow from the messages: a call whose input begins with the input and output
//! of an earlier call, and goes on, is the next turn of that call's conversation. When a second
//! call goes on from the same place (parallel requests), it is a conversation of its own whose
//! first request holds that whole history, and so is a call that goes on from nothing.
//! [`Parent`](turnbench_model::Parent) says where such a conversation forks off, by its messages or by its
//! `parent_span_id`, and which later turn of the parent holds its answer, if one does.
//!
//! Kept: messages, system instructions, tool definitions, request settings (of a conversation's
//! first call; what differs later is remarked on), models, token counts (`gen_ai.usage.input_tokens`
//! or `prompt_tokens`; an `output_tokens` is the answer's exact length, `request.max_tokens` else a
//! cap), times. Lost: spans that are no model calls, other attributes, choices but the first.
//!
//! A document of spans is read for itself: a span that names no trace is named `row-N/SPAN` after its
//! document. Times are counted from the first call of the file's first document; calls before it count
//! as sent with it, which is remarked on. Spans that are rows of a file, and OTLP batches, may
//! belong together across the file, which is then held in memory.

mod calls;
mod messages;
mod span;
mod strands;

use std::collections::VecDeque;

use serde_json::Value;

use self::calls::Calls;
use super::{Format, Item, JsonRows, Peek, Reader, Row, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// Spans of OpenTelemetry's conventions for generative AI.
pub(super) const FORMAT: Format = Format {
    name: "otel",
    about: "OpenTelemetry gen_ai spans: {\"spans\": […]}, rows of spans, or OTLP, as JSON",
    sniff,
    read,
};

fn sniff(peek: &Peek) -> bool {
    let first = peek.first();
    let lists_spans = |spans: &Value| spans.get(0).is_some_and(is_span);
    first.get("spans").is_some_and(lists_spans)
        || span::OTLP_KEYS.iter().any(|key| first.get(key).is_some_and(Value::is_array))
        || is_span(first)
}

fn is_span(value: &Value) -> bool {
    let ids = ["span_id", "spanId", "context"];
    value.get("attributes").is_some() && ids.iter().any(|key| value.get(key).is_some())
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    Ok(Box::new(Spans {
        conversations_max: source.conversations_max(),
        rows: source.rows(),
        of_file: Calls::default(),
        begins_ns: None,
        noted_early: false,
        ready: VecDeque::new(),
    }))
}

struct Spans {
    rows: JsonRows,
    conversations_max: Option<usize>,
    /// Calls of spans that are rows of the file.
    of_file: Calls,
    /// When the first call of the file began, in nanoseconds since 1970.
    begins_ns: Option<i128>,
    /// Whether it was remarked that a later document has earlier calls.
    noted_early: bool,
    ready: VecDeque<Item>,
}

impl Spans {
    fn take(&mut self, row: &Row) -> Result<(), WorkloadError> {
        let value = row.value()?;
        let node = row.node(&value);
        let spans_node = node.key("spans");
        if let Some(spans) = spans_node.items() {
            let mut calls = Calls::default();
            for span in spans {
                self.ready.extend(calls.take(&span));
            }
            self.note_early(&calls, &spans_node);
            self.build(calls, Some(format!("row-{}", row.index)));
        } else {
            self.ready.extend(span::each(&node, |span| self.of_file.take(span)));
        }
        Ok(())
    }

    /// Remarks on the first document that begins before the file's first.
    fn note_early(&mut self, calls: &Calls, spans: &Node) {
        let is_early = calls.begin_ns().zip(self.begins_ns).is_some_and(|(at, first)| at < first);
        if is_early && !std::mem::replace(&mut self.noted_early, true) {
            let problem = "begin before those of the file's first document; calls before those count \
                           as sent with the first";
            self.ready.push_back(Item::Remark(spans.remark(problem)));
        }
    }

    /// Makes conversations of calls; `unnamed` stands for the trace of spans that name none.
    fn build(&mut self, calls: Calls, unnamed: Option<String>) {
        let begins_ns = match (self.begins_ns, calls.begin_ns()) {
            (Some(first), _) => first,
            (None, found) => {
                self.begins_ns = found;
                found.unwrap_or(0)
            }
        };
        let max = self.conversations_max.unwrap_or(usize::MAX);
        self.ready.extend(strands::items(calls, begins_ns, unnamed, max));
    }
}

impl Iterator for Spans {
    type Item = Result<Item, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            let taken = match self.rows.next() {
                Some(row) => row.and_then(|row| self.take(&row)),
                None if self.of_file.is_empty() => return None,
                None => {
                    let calls = std::mem::take(&mut self.of_file);
                    self.build(calls, None);
                    Ok(())
                }
            };
            if let Err(error) = taken {
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

#[cfg(test)]
mod tests;
