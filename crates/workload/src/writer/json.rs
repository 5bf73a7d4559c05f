use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use turnbench_model::Conversation;
use turnbench_model::python_json::PythonFormatter;

use super::{Layout, Sheet, WriteError, WriterOptions};

/// turnbench's own list, item by item, with the layout of Python's `json.dump`. It holds everything.
pub(super) struct JsonList {
    formatter: PythonFormatter,
    is_empty: bool,
}

impl JsonList {
    pub(super) fn new(options: &WriterOptions) -> Self {
        let formatter = PythonFormatter::indented(options.indent);
        let formatter = if options.ascii { formatter } else { formatter.with_unicode() };
        Self { formatter, is_empty: true }
    }

    fn open(&mut self, sheet: &mut Sheet) -> io::Result<()> {
        sheet.bytes(|bytes| self.formatter.begin_array(bytes))
    }
}

impl Layout for JsonList {
    fn write(&mut self, conversation: Conversation, sheet: &mut Sheet) -> Result<(), WriteError> {
        if self.is_empty {
            self.open(sheet)?;
        }
        sheet.bytes(|bytes| {
            self.formatter.begin_array_value(bytes, self.is_empty)?;
            let formatter = self.formatter.clone();
            conversation.serialize(&mut Serializer::with_formatter(&mut *bytes, formatter))?;
            self.formatter.end_array_value(bytes)
        })?;
        self.is_empty = false;
        sheet.report.conversations += 1;
        sheet.report.rows += 1;
        Ok(())
    }

    fn finish(&mut self, sheet: &mut Sheet) -> Result<(), WriteError> {
        if self.is_empty {
            self.open(sheet)?;
        }
        Ok(sheet.bytes(|bytes| self.formatter.end_array(bytes))?)
    }
}

/// Writes conversations as the list `[{"id", "messages": [{"role", "content"}]}]` with the bytes of
/// Python's `json.dumps(list, indent=indent)`: ASCII only, no newline at the end. Writes are buffered.
///
/// # Errors
/// Those of `writer`.
pub fn write_conversations_json(
    conversations: &[Conversation],
    indent: usize,
    writer: &mut dyn Write,
) -> io::Result<()> {
    let mut buffered = BufWriter::new(writer);
    let formatter = PythonFormatter::indented(indent);
    let mut serializer = Serializer::with_formatter(&mut buffered, formatter);
    conversations.serialize(&mut serializer).map_err(io::Error::from)?;
    buffered.flush()
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Conversation, Message};

    use super::write_conversations_json;
    use crate::writer::testing::{text_of, written};
    use crate::writer::{Target, WriterOptions};

    fn conversations(count: usize) -> Vec<Conversation> {
        let message = || Message::new("user", "é\u{7f}🙂");
        (0..count).map(|it| Conversation::new(format!("{it}"), vec![message(); it])).collect()
    }

    #[test]
    fn written_conversations_have_pythons_bytes() {
        let conversation = Conversation::new("a", vec![Message::new("user", "é\u{7f}🙂")]);
        let mut out = Vec::new();
        write_conversations_json(&[conversation], 4, &mut out).unwrap();
        let expect = "[\n    {\n        \"id\": \"a\",\n        \"messages\": [\n            {\n                \"role\": \"user\",\n                \"content\": \"\\u00e9\u{7f}\\ud83d\\ude42\"\n            }\n        ]\n    }\n]";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
        let mut out = Vec::new();
        write_conversations_json(&[], 4, &mut out).unwrap();
        assert_eq!(out, b"[]");
    }

    #[test]
    fn item_by_item_gives_the_same_bytes_as_all_at_once() {
        for (count, indent) in [(0, 4), (1, 4), (2, 2), (3, 0)] {
            let conversations = conversations(count);
            let mut expect = Vec::new();
            write_conversations_json(&conversations, indent, &mut expect).unwrap();
            let options = WriterOptions { indent, ascii: true, ..WriterOptions::default() };
            assert_eq!(text_of(Target::Json, options, &conversations).as_bytes(), expect);
        }
    }

    #[test]
    fn text_stands_as_it_is_unless_ascii_is_asked_for() {
        let (text, report) = written(Target::Json, WriterOptions::default(), &conversations(2));
        assert!(text.contains("\"é\u{7f}🙂\""), "{text}");
        assert_eq!((report.conversations, report.rows, report.lost), (2, 2, vec![]));
    }
}
