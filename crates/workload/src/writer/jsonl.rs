use turnbench_model::Conversation;

use super::{Layout, Sheet, WriteError};

/// turnbench's own objects, one a line. It holds everything.
pub(super) struct JsonLines;

impl Layout for JsonLines {
    fn write(&mut self, conversation: Conversation, sheet: &mut Sheet) -> Result<(), WriteError> {
        sheet.line(&conversation)?;
        sheet.report.conversations += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Conversation, Message, RecordedTurn};

    use crate::writer::testing::text_of;
    use crate::writer::{Target, WriterOptions};

    #[test]
    fn each_conversation_is_one_line() {
        let mut with_turn = Conversation::new("b", vec![Message::new("user", "x\ny")]);
        with_turn.recorded = vec![RecordedTurn::default().with_answer_tokens(7)];
        let conversations = [Conversation::new("a", Vec::new()), with_turn];
        let expect = concat!(
            "{\"id\":\"a\",\"messages\":[]}\n",
            "{\"id\":\"b\",\"messages\":[{\"role\":\"user\",\"content\":\"x\\ny\"}],",
            "\"recorded\":[{\"min_tokens\":7,\"max_tokens\":7}]}\n",
        );
        assert_eq!(text_of(Target::Jsonl, WriterOptions::default(), &conversations), expect);
        assert_eq!(text_of(Target::Jsonl, WriterOptions::default(), &[]), "");
    }
}
