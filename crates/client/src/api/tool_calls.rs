use serde_json::{Map, Value, json};

use crate::api::json_text::JsonText;
use crate::api::wire::{FunctionPiece, ToolCallPiece};
use crate::json_style::{JsonStyle, Object};

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
    id: JsonText,
    kind: JsonText,
    name: JsonText,
    arguments: JsonText,
}

impl ToolCalls {
    /// Takes the pieces of one event. Appends what they add of names and arguments to `text`.
    pub(crate) fn push(&mut self, pieces: &[ToolCallPiece<'_>], text: &mut String) {
        for (position, piece) in pieces.iter().enumerate() {
            let call = self.call(piece, position as u64);
            if !piece.id.is_empty() {
                call.id = JsonText::of(piece.id.json());
            }
            if !piece.kind.is_empty() {
                call.kind = JsonText::of(piece.kind.json());
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
            Some(last) if piece.id.is_empty() || piece.id.text() == last.id.text() => last.index,
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

    /// In the API's form, in the order of their indices; and as one JSON list that keeps the server's
    /// escapes, where there are any.
    pub(crate) fn into_values(mut self) -> (Vec<Value>, Option<String>) {
        self.calls.sort_by_key(|call| call.index);
        let mut list = vec![b'['];
        let mut has_escapes = false;
        let mut values = Vec::new();
        for call in self.calls {
            if list.len() > 1 {
                list.push(b',');
            }
            let texts = CallTexts::of(call);
            has_escapes |= texts.has_escapes();
            texts.write(&mut list);
            values.push(texts.into_value());
        }
        list.push(b']');
        (values, String::from_utf8(list).ok().filter(|_| has_escapes))
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
}

/// A text, and the inside of the JSON string that says it where that has escapes.
type Spelled = (String, Option<String>);

/// What a call says, and how the server spelled it.
struct CallTexts {
    id: Spelled,
    kind: Spelled,
    name: Spelled,
    arguments: Spelled,
}

impl CallTexts {
    fn of(call: Call) -> Self {
        let mut kind = call.kind.into_text();
        if kind.0.is_empty() {
            "function".clone_into(&mut kind.0);
        }
        Self {
            id: call.id.into_text(),
            kind,
            name: call.name.into_text(),
            arguments: call.arguments.into_text(),
        }
    }

    fn has_escapes(&self) -> bool {
        let Self { id, kind, name, arguments } = self;
        [id, kind, name, arguments].iter().any(|(_, spelling)| spelling.is_some())
    }

    /// What [`Self::into_value`] says, in the server's spelling.
    fn write(&self, out: &mut Vec<u8>) {
        let add = |object: &mut Object<'_>, key, (text, spelling): &Spelled| {
            object.spelled(key, text, spelling.as_deref());
        };
        let mut call = Object::open(JsonStyle::Compact, out);
        if !self.id.0.is_empty() {
            add(&mut call, "id", &self.id);
        }
        add(&mut call, "type", &self.kind);
        let mut function = Object::open(JsonStyle::Compact, call.key("function"));
        add(&mut function, "name", &self.name);
        add(&mut function, "arguments", &self.arguments);
        function.close();
        call.close();
    }

    fn into_value(self) -> Value {
        let mut call = Map::new();
        if !self.id.0.is_empty() {
            call.insert("id".to_owned(), self.id.0.into());
        }
        call.insert("type".to_owned(), self.kind.0.into());
        let function = json!({ "name": self.name.0, "arguments": self.arguments.0 });
        call.insert("function".to_owned(), function);
        Value::Object(call)
    }
}
