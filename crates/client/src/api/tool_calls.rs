use serde_json::{Map, Value, json};

use crate::api::json_text::JsonText;
use crate::api::wire::{FunctionPiece, ToolCallPiece};

/// Most tool calls of one answer.
const CALLS_MAX: usize = 1_024;

/// Tool calls, assembled from their deltas.
#[derive(Debug, Default)]
pub(crate) struct ToolCalls {
    calls: Vec<Call>,
}

#[derive(Debug, Default)]
struct Call {
    index: u64,
    id: String,
    kind: String,
    name: JsonText,
    arguments: JsonText,
}

impl ToolCalls {
    /// Takes the pieces of one event. Appends what they add of names and arguments to `text`.
    pub(crate) fn push(&mut self, pieces: &[ToolCallPiece<'_>], text: &mut String) {
        for (position, piece) in pieces.iter().enumerate() {
            let call = self.call(piece, position as u64);
            if !piece.id.is_empty() {
                call.id = piece.id.text().into_owned();
            }
            if !piece.kind.is_empty() {
                call.kind = piece.kind.text().into_owned();
            }
            if let Some(function) = &piece.function {
                call.add(function, text);
            }
        }
    }

    /// Takes a piece in the older form of a single call.
    pub(crate) fn push_function(&mut self, function: &FunctionPiece<'_>, text: &mut String) {
        if self.calls.is_empty() {
            self.calls.push(Call::default());
        }
        if let Some(call) = self.calls.last_mut() {
            call.add(function, text);
        }
    }

    /// The call that a piece belongs to. Without an index it is the last one, unless the piece
    /// brings another id; several in one whole message are told apart by their position.
    fn call(&mut self, piece: &ToolCallPiece<'_>, position: u64) -> &mut Call {
        let last = self.calls.last();
        let index = piece.index.unwrap_or_else(|| match last {
            Some(last) if piece.id.is_empty() || piece.id.text() == last.id => last.index,
            Some(last) => last.index + 1,
            None => position,
        });
        let known = self.calls.iter().position(|call| call.index == index);
        let at = known.unwrap_or_else(|| {
            if self.calls.len() < CALLS_MAX {
                self.calls.push(Call { index, ..Call::default() });
            }
            self.calls.len() - 1
        });
        &mut self.calls[at]
    }

    /// In the API's form, in the order of their indices.
    pub(crate) fn into_values(mut self) -> Vec<Value> {
        self.calls.sort_by_key(|call| call.index);
        self.calls.into_iter().map(Call::into_value).collect()
    }
}

impl Call {
    fn add(&mut self, function: &FunctionPiece<'_>, text: &mut String) {
        for (piece, whole) in
            [(&function.name, &mut self.name), (&function.arguments, &mut self.arguments)]
        {
            whole.push(piece.json());
            text.push_str(&piece.text());
        }
    }

    fn into_value(self) -> Value {
        let mut call = Map::new();
        if !self.id.is_empty() {
            call.insert("id".to_owned(), self.id.into());
        }
        let kind = if self.kind.is_empty() { "function".to_owned() } else { self.kind };
        call.insert("type".to_owned(), kind.into());
        let (name, arguments) = (self.name.into_text().0, self.arguments.into_text().0);
        call.insert("function".to_owned(), json!({ "name": name, "arguments": arguments }));
        Value::Object(call)
    }
}
