//! Azure's LLM inference traces (Azure/AzurePublicDataset, `AzureLLMInferenceTrace_*` of 2023 and
//! 2024), CSV: `TIMESTAMP`, `ContextTokens`, `GeneratedTokens`.
//!
//! Kept: lengths, and times from the first row on. Nothing says which requests belong together:
//! each row is a conversation of one turn, named `row-0` and so on, and is handed out as it comes.
//! Times are dates with fractions of a second, with a zone (2024) or without (2023: taken as UTC).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use turnbench_model::{Conversation, Nanos, RecordedTurn};

use super::csv_rows::{CsvRow, CsvRows, has_columns};
use super::trace::{Clock, lengths};
use super::{Container, Format, Item, Peek, Reader, Skipped, Source};
use crate::WorkloadError;
use crate::json_file::Node;

/// Azure's LLM inference traces.
pub(super) const FORMAT: Format = Format {
    name: "azure",
    about: "Azure LLM traces: \"TIMESTAMP\", \"ContextTokens\", \"GeneratedTokens\", as CSV",
    sniff,
    read,
};

const COLUMNS: [&str; 3] = ["timestamp", "contexttokens", "generatedtokens"];

fn sniff(peek: &Peek) -> bool {
    peek.container() == Container::Text && has_columns(peek, &COLUMNS)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of all formats")]
fn read(source: Source) -> Result<Reader, WorkloadError> {
    let rows = CsvRows::new(source);
    let columns = COLUMNS.map(|plain| rows.column(plain));
    let mut clock = Clock::default();
    Ok(Box::new(rows.flat_map(move |row| match row {
        Ok(row) => items(&row, &columns, &mut clock).into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    })))
}

fn items(row: &CsvRow, columns: &[String; 3], clock: &mut Clock) -> Vec<Item> {
    let node = row.node();
    let [timestamp, context, generated] = columns;
    let read = row
        .check_columns()
        .and_then(|()| lengths(&node.key(context), &node.key(generated)))
        .and_then(|lengths| Ok((lengths, time(&node.key(timestamp))?)));
    let (lengths, sent) = match read {
        Ok(read) => read,
        Err(skipped) => return vec![Item::Skipped(skipped)],
    };
    let (sent_at_ns, remark) = clock.since_first(Some(sent), &node, timestamp);
    let recorded = vec![RecordedTurn { sent_at_ns, ..lengths }];
    let id = format!("row-{}", row.index);
    let conversation = Conversation { recorded, ..Conversation::new(id, Vec::new()) };
    remark.into_iter().chain([Item::Conversation(Box::new(conversation))]).collect()
}

/// Nanoseconds since 1970.
fn time(node: &Node) -> Result<Nanos, Skipped> {
    let text = node.value().and_then(Value::as_str);
    let instant = text.and_then(|text| {
        let zoned = text.parse::<Timestamp>().ok();
        zoned.or_else(|| TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok())
    });
    let nanos = instant.and_then(|at| u64::try_from(at.as_nanosecond()).ok());
    nanos.map(Nanos).ok_or_else(|| {
        let allowed = "a date such as 2023-11-16 18:17:03.9799600";
        Skipped::new("malformed time", node.refuse(allowed))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use turnbench_model::Nanos;

    use super::FORMAT;
    use crate::format::testing::{mutated, read, read_anyway, sample, source, source_of_bytes};

    fn check(name: &str, sums: (u64, u64), last: Nanos) {
        let seen = read(&FORMAT, sample(&format!("azure/{name}")));
        assert_eq!((seen.skips.len(), seen.remarks.len(), &seen.error), (0, 0, &None), "{name}");
        let turns: Vec<_> = seen.conversations.iter().map(|it| &it.recorded[0]).collect();
        assert_eq!(turns.len(), 599, "{name}");
        let sum = |all: Vec<Option<u32>>| all.into_iter().flatten().map(u64::from).sum::<u64>();
        let prompts = sum(turns.iter().map(|turn| turn.prompt_tokens).collect());
        let answers = sum(turns.iter().map(|turn| turn.max_tokens).collect());
        assert_eq!((prompts, answers), sums, "{name}");
        assert_eq!((turns[0].sent_at_ns, turns[598].sent_at_ns), (Some(Nanos(0)), Some(last)));
    }

    #[test]
    fn traces_from_the_field_are_read_whole() {
        // 18:17:03.97996 to 18:21:25.350239, and 18:15:46.68059 to 18:18:14.676213.
        check("code-first600.csv.zst", (1_279_653, 15_893), Nanos(261_370_279_000));
        check("conv-first600.csv.zst", (553_295, 156_868), Nanos(147_995_623_000));
    }

    const TEXT: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
                        2024-05-10 00:00:00.009930+00:00,2162,5\n\
                        2024-05-10 02:00:01.009930+02:00,2399,6\n\
                        2024-05-09 00:00:00+00:00,1,1\n";

    #[test]
    fn dates_may_have_a_zone_and_go_back() {
        let seen = read(&FORMAT, source(TEXT));
        let times: Vec<_> =
            seen.conversations.iter().map(|it| it.recorded[0].sent_at_ns.unwrap().0).collect();
        assert_eq!(times, [0, 1_000_000_000, 0]);
        assert_eq!((seen.skips.len(), seen.remarks.len()), (0, 1));
    }

    #[test]
    fn odd_rows_are_skipped_by_reason() {
        let text = "\u{feff}timestamp, context_tokens ,Generated Tokens\r\n\
                    2023-11-16 18:17:03.9799600,1,2\r\n\
                    yesterday,1,2\r\n,1,2\r\n2023-11-16,0,2\r\n2023-11-16,1,\r\n2023-11-16,1\r\n\r\n\
                    2023-11-16 18:17:04,1,0";
        let seen = read(&FORMAT, source(text));
        assert_eq!(seen.conversations.len(), 2);
        assert_eq!(seen.conversations[1].recorded[0].max_tokens, None);
        assert_eq!(
            seen.skips,
            [
                "malformed time: in.data:3: timestamp is \"yesterday\", allowed is a date such as \
                 2023-11-16 18:17:03.9799600",
                "malformed time: in.data:4: timestamp is null, allowed is a date such as \
                 2023-11-16 18:17:03.9799600",
                "prompt without tokens: in.data:5: context_tokens is 0, allowed is a whole number \
                 of tokens, from 1",
                "wrong number of cells: in.data:7: the line has 2 cells, allowed is as many as the \
                 header has, 3",
                "answer without tokens: in.data:9: Generated Tokens is 0, allowed is a whole \
                 number of tokens, from 1",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_rows_make_the_reader_panic(bytes in mutated(&[TEXT])) {
            read_anyway(&FORMAT, source_of_bytes(&bytes));
        }
    }
}
