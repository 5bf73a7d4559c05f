//! WildChat: conversations with ChatGPT, as Parquet.
//!
//! Schemas: the data set cards of allenai/WildChat (2023), WildChat-1M (2024) and WildChat-4.8M
//! (2025). All have `model`, `timestamp` and `conversation`, a list of messages with `role` and
//! `content`; the id is `conversation_hash`, in the first `conversation_id`. Since WildChat-1M each
//! message has a `timestamp`, which is null for those of users.
//!
//! Kept: the id, the messages, the model as that of each turn, and think times. An answer's
//! `timestamp` is when it was logged, at its end; when the next question came is not known. The
//! think time of a turn is therefore the gap between the answer before and its own answer: the
//! user's pause *and* the time that the answer took, an upper bound of the pause. Where a question
//! has a time of its own, the pause ends there, and the rest of the gap is the answer's latency. A
//! gap below zero is none. Times of sending are left open, since the first question's is unknown,
//! as is the conversation's beginning: its own `timestamp` is that of its last turn.
//!
//! Lost: `language`, `toxic`, `redacted`, `state`, `country`, `hashed_ip`, `header`, the verdicts
//! of moderation, `turn`, `turn_identifier`; of WildChat-4.8M also `created`, `openai_id`,
//! `temperature`, `top_p`, `system_fingerprint`, `token_counter` and `usage`. Ids come twice in the
//! data set; which row stays is the caller's matter.

use std::collections::VecDeque;
use std::path::PathBuf;

use turnbench_model::{Conversation, Nanos, RecordedTurn, TurnRules};

use super::parquet_rows::{ChatRow, ChatRows, ParquetFile, Wanted};
use super::{Format, Item, Peek, Reader, Source};
use crate::{Warning, WorkloadError};

/// WildChat, WildChat-1M and WildChat-4.8M.
pub(super) const FORMAT: Format =
    Format { name: "wildchat", about: "WildChat, as Parquet", sniff, read };

fn sniff(peek: &Peek) -> bool {
    let is_one = |file: &ParquetFile| {
        file.has_column("conversation") && (file.has_column(HASH) || is_first_release(file))
    };
    peek.parquet().is_some_and(is_one)
}

const HASH: &str = "conversation_hash";

/// The first release, which has its ids where LMSYS-Chat has them.
fn is_first_release(file: &ParquetFile) -> bool {
    file.has_column("conversation_id")
        && !file.has_column(HASH)
        && (file.has_column("timestamp") || file.has_column("toxic"))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let first_release = source.peek().parquet().is_some_and(is_first_release);
    let id = if first_release { "conversation_id" } else { HASH };
    let rows = ChatRows::open(&source, Wanted { id, times: true })?;
    let path = source.path().to_owned();
    Ok(Box::new(WildChat { rows, path, remarked: false, ready: VecDeque::new() }))
}

struct WildChat {
    rows: ChatRows,
    path: PathBuf,
    /// Whether it was said that think times are upper bounds.
    remarked: bool,
    ready: VecDeque<Item>,
}

impl WildChat {
    fn take(&mut self, row: ChatRow) {
        let (conversation, is_bound) = conversation(row);
        if is_bound && !self.remarked {
            self.remarked = true;
            self.ready.push_back(Item::Remark(Warning {
                path: self.path.clone(),
                field: "conversation.timestamp".to_owned(),
                problem: "is known of answers only, so that think times include the time that \
                          the answer took"
                    .to_owned(),
            }));
        }
        self.ready.push_back(Item::Conversation(Box::new(conversation)));
    }
}

impl Iterator for WildChat {
    type Item = Result<Item, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            match self.rows.next()? {
                Ok(Ok(row)) => self.take(row),
                Ok(Err(skipped)) => return Some(Ok(Item::Skipped(skipped))),
                Err(error) => return Some(Err(error)),
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// The conversation, and whether one of its think times is only an upper bound.
fn conversation(row: ChatRow) -> (Conversation, bool) {
    let mut conversation = Conversation::new(row.id, row.messages);
    let mut recorded = Vec::new();
    let mut is_bound = false;
    let mut answer_before = None;
    for turn in conversation.turns(TurnRules::default()) {
        let at = |index: usize| row.at_ns.get(index).copied().flatten();
        let asked = turn.messages.last().and_then(at);
        let answered = turn.answer.and_then(at);
        let think_time_ns = gap(answer_before, asked.or(answered));
        is_bound |= think_time_ns.is_some() && asked.is_none();
        recorded.push(RecordedTurn {
            think_time_ns,
            latency_ns: gap(asked, answered),
            model: row.model.clone(),
            ..RecordedTurn::default()
        });
        answer_before = answered;
    }
    if recorded.iter().any(|turn| *turn != RecordedTurn::default()) {
        conversation.recorded = recorded;
    }
    (conversation, is_bound)
}

fn gap(from: Option<i128>, to: Option<i128>) -> Option<Nanos> {
    u64::try_from(to? - from?).ok().map(Nanos)
}
