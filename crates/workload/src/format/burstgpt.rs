//! BurstGPT (HPMLL/BurstGPT of 2024 and 2025), CSV: `Timestamp`, `Model`, `Request tokens`,
//! `Response tokens`, `Total tokens`, `Log Type`, and in newer files `Session ID` and `Elapsed
//! time`. Times are in seconds.
//!
//! Kept: times from the first row on, lengths, models, and sessions as conversations, which are
//! handed out at the end of the file; rows without a session are conversations of one turn and
//! are handed out as they come. Elapsed time is the latency of the answer. Rows without response
//! tokens are requests that failed, and are skipped. Each prompt stands alone: whether its tokens
//! include the session's history is not said.
//! Lost: `Log Type`, `Total tokens` and other columns.

use serde_json::Value;
use turnbench_model::{Conversation, RecordedTurn};

use super::csv_rows::{CsvRow, CsvRows, has_columns};
use super::trace::{Clock, Part, Sessions, lengths};
use super::units::seconds;
use super::{Container, Format, Item, Peek, Reader, Skipped, Source};
use crate::WorkloadError;

/// BurstGPT.
pub(super) const FORMAT: Format = Format {
    name: "burstgpt",
    about: "BurstGPT: \"Timestamp\", \"Request tokens\", \"Response tokens\", … as CSV",
    sniff,
    read,
};

fn sniff(peek: &Peek) -> bool {
    peek.container() == Container::Text
        && has_columns(peek, &["timestamp", "requesttokens", "responsetokens"])
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let sessions_max = source.conversations_max();
    let rows = CsvRows::new(source);
    let columns = Columns {
        timestamp: rows.column("timestamp"),
        session: rows.column("sessionid"),
        elapsed: rows.column("elapsedtime"),
        model: rows.column("model"),
        request: rows.column("requesttokens"),
        response: rows.column("responsetokens"),
    };
    let mut clock = Clock::default();
    let parts = rows.map(move |row| Ok(columns.parts(&row?, &mut clock)));
    Ok(Box::new(Sessions::new(parts, sessions_max, |id, recorded| {
        let conversation = Conversation { recorded, ..Conversation::new(id, Vec::new()) };
        Item::Conversation(Box::new(conversation))
    })))
}

/// Names of the columns.
struct Columns {
    timestamp: String,
    session: String,
    elapsed: String,
    model: String,
    request: String,
    response: String,
}

impl Columns {
    fn parts(&self, row: &CsvRow, clock: &mut Clock) -> Vec<Part<RecordedTurn>> {
        let (turn, remark) = match self.turn(row, clock) {
            Ok(read) => read,
            Err(skipped) => return vec![skipped.into()],
        };
        let text = match &row.value[&self.session] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let part = if let Some(session) = text {
            Part::Turn(session, turn)
        } else {
            let id = format!("row-{}", row.index);
            let recorded = vec![turn];
            let conversation = Conversation { recorded, ..Conversation::new(id, Vec::new()) };
            Part::Item(Item::Conversation(Box::new(conversation)))
        };
        remark.map(Part::Item).into_iter().chain([part]).collect()
    }

    fn turn(
        &self,
        row: &CsvRow,
        clock: &mut Clock,
    ) -> Result<(RecordedTurn, Option<Item>), Skipped> {
        row.check_columns()?;
        let node = row.node();
        let answer = node.key(&self.response);
        if answer.value().and_then(Value::as_f64) == Some(0.0) {
            let error = answer.refuse("a whole number of tokens, from 1");
            return Err(Skipped::new("failed request", error));
        }
        let lengths = lengths(&node.key(&self.request), &answer)?;
        let sent = seconds(&node.key(&self.timestamp))?;
        let (sent_at_ns, remark) = clock.since_first(sent, &node, &self.timestamp);
        let turn = RecordedTurn {
            sent_at_ns,
            latency_ns: seconds(&node.key(&self.elapsed))?,
            model: node.key(&self.model).value().and_then(Value::as_str).map(str::to_owned),
            ..lengths
        };
        Ok((turn, remark))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use turnbench_model::Nanos;

    use super::FORMAT;
    use crate::format::testing::{mutated, read, read_anyway, sample, source, source_of_bytes};

    #[test]
    fn rows_of_the_first_version_stand_alone() {
        let seen = read(&FORMAT, sample("burstgpt/quoted_rows_v1.csv"));
        assert_eq!((seen.skips.len(), seen.remarks.len(), &seen.error), (0, 0, &None));
        let all: Vec<_> = seen
            .conversations
            .iter()
            .map(|it| (it.id.as_str(), it.recorded[0].sent_at_ns, it.recorded[0].prompt_tokens))
            .collect();
        let at = |seconds: u64| Some(Nanos(seconds * 1_000_000_000));
        assert_eq!(
            all,
            [
                ("row-0", at(0), Some(472)),
                ("row-1", at(40), Some(1087)),
                ("row-2", at(113), Some(417)),
            ]
        );
        let last = &seen.conversations[2].recorded[0];
        assert_eq!((last.max_tokens, last.model.as_deref()), (Some(276), Some("GPT-4")));
        assert!(last.standalone);
    }

    #[test]
    fn sessions_are_conversations_and_failed_requests_are_skipped() {
        let seen = read(&FORMAT, sample("burstgpt/composed_session_columns.csv"));
        assert_eq!(
            seen.skips,
            ["failed request: composed_session_columns.csv:3: Response tokens is 0, allowed is a \
              whole number of tokens, from 1"]
        );
        let turns: usize = seen.conversations.iter().map(|it| it.recorded.len()).sum();
        assert_eq!(turns, 3);
        let session = seen.conversations.iter().find(|it| it.id == "sess-a").unwrap();
        assert_eq!(session.recorded.len(), 2);
        assert_eq!(session.recorded[0].latency_ns, Some(Nanos(3_180_000_000)));
        assert_eq!(session.recorded[1].sent_at_ns, Some(Nanos(61_000_000_000)));
    }

    const TEXT: &str = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens\n\
                        10,,1,M,4,5\n3,7,0.5,M,4,5\n12,7\n13,7,,M,x,1\n14,7,,,\"1,0\",1\n\
                        15,7,-2,,1,1\n";

    #[test]
    fn odd_rows_are_skipped_by_reason() {
        let seen = read(&FORMAT, source(TEXT));
        assert_eq!(
            seen.skips,
            [
                "wrong number of cells: in.data:4: the line has 2 cells, allowed is as many as the \
                 header has, 6",
                "malformed token count: in.data:5: Request tokens is \"x\", allowed is a whole \
                 number of tokens, 1 to 4294967295",
                "malformed token count: in.data:6: Request tokens is \"1,0\", allowed is a whole \
                 number of tokens, 1 to 4294967295",
                "malformed time: in.data:7: Elapsed time is -2.0, allowed is a number of seconds, \
                 0 or more",
            ]
        );
        assert_eq!(
            seen.remarks,
            ["in.data: Timestamp is earlier than that of the first row; such rows count as sent \
              with the first"]
        );
        let session = &seen.conversations[1];
        assert_eq!((session.id.as_str(), session.recorded[0].sent_at_ns), ("7", Some(Nanos(0))));
    }

    #[test]
    fn what_is_no_text_ends_the_file() {
        let seen = read(&FORMAT, source_of_bytes(&[TEXT.as_bytes(), b"1,\xff,1\n"].concat()));
        let expect = "in.data:8: invalid UTF-8";
        assert!(seen.error.as_deref().unwrap().starts_with(expect), "{:?}", seen.error);
    }

    #[test]
    fn a_stray_quote_swallows_no_rows() {
        let text = "Timestamp,Model,Request tokens,Response tokens\n1,M,4,5\n2,\"M,4,5\n3,M,4,5\n";
        let seen = read(&FORMAT, source(text));
        assert_eq!((seen.conversations.len(), seen.skips.len()), (1, 0));
        let expect =
            "in.data:3: the line is \"2,\\\"M,4,5\", allowed is a row whose quoted cells end";
        assert!(seen.error.as_deref().unwrap().starts_with(expect), "{:?}", seen.error);
    }

    proptest! {
        #[test]
        fn no_rows_make_the_reader_panic(bytes in mutated(&[TEXT])) {
            read_anyway(&FORMAT, source_of_bytes(&bytes));
        }
    }
}
