//! LMSYS-Chat-1M: conversations with many models, as Parquet.
//!
//! Schema: the data set card of lmsys/lmsys-chat-1m (2023-09), columns `conversation_id`, `model`,
//! `conversation` (a list of `content`, `role`), `turn`, `language`, `openai_moderation`,
//! `redacted`.
//!
//! Kept: the id, the messages, and the model as that of each turn. Lost: `language`, `redacted`,
//! the moderation's verdicts, and `turn`, which the messages tell. There are no times.

use turnbench_model::{Conversation, RecordedTurn, TurnRules};

use super::parquet_rows::{ChatRow, ChatRows, ParquetFile, Wanted};
use super::{Format, Item, Peek, Reader, Source, wildchat};
use crate::WorkloadError;

/// LMSYS-Chat-1M.
pub(super) const FORMAT: Format =
    Format { name: "lmsys", about: "LMSYS-Chat-1M, as Parquet", sniff, read };

fn sniff(peek: &Peek) -> bool {
    let is_one =
        |file: &ParquetFile| file.has_column("conversation_id") && file.has_column("conversation");
    peek.parquet().is_some_and(is_one) && !(wildchat::FORMAT.sniff)(peek)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let rows = ChatRows::open(&source, Wanted { id: "conversation_id", times: false })?;
    Ok(Box::new(rows.map(|row| {
        Ok(match row? {
            Ok(row) => Item::Conversation(Box::new(conversation(row))),
            Err(skipped) => Item::Skipped(skipped),
        })
    })))
}

fn conversation(row: ChatRow) -> Conversation {
    let mut conversation = Conversation::new(row.id, row.messages);
    if row.model.is_some() {
        let turns = conversation.turns(TurnRules::default()).len();
        let turn = RecordedTurn { model: row.model, ..RecordedTurn::default() };
        conversation.recorded = vec![turn; turns];
    }
    conversation
}
