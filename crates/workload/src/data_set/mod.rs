//! Reading a data set: which format it has, which of its conversations are wanted, and what
//! became of the others.

mod content;
mod filter;
mod parents;
mod report;
mod request_keys;
mod selection;
mod stream;

use std::path::Path;
use std::sync::Arc;

use turnbench_model::{Conversation, Tokenizer};

pub use content::AsciiFilter;
pub use filter::{Filters, OverModelLen};
pub use report::{ReadReport, SkipCount};
pub use selection::Selection;
pub use stream::ConversationStream;

use crate::WorkloadError;
use crate::format::{Container, FORMATS, Format, Peek, ReadState, Source};

/// How a data set is read.
#[derive(Clone, Copy, Default)]
pub struct ReadOptions<'a> {
    /// End at the first row that is no conversation instead of counting it.
    pub strict: bool,
    /// Which conversations are of use.
    pub filters: Filters,
    /// Which of these are taken.
    pub selection: Selection,
    /// Counts tokens, where a filter asks for it ([`Filters::need_tokens`]).
    pub tokenizer: Option<&'a dyn Tokenizer>,
}

/// A file whose format is known and which has not been read yet.
#[derive(Debug)]
pub struct DataSource {
    format: &'static Format,
    source: Source,
}

impl DataSource {
    /// What `source` is read as: this format, or the one that its beginning shows.
    pub(crate) fn new(
        source: Source,
        format: Option<&'static Format>,
    ) -> Result<Self, WorkloadError> {
        let format = match format {
            Some(format) => format,
            None => match candidates(source.peek()).as_slice() {
                [format] => format,
                [] => return Err(unrecognized(source)),
                several => {
                    let candidates = several.iter().map(|format| format.name).collect();
                    return Err(WorkloadError::AmbiguousFormat {
                        path: source.path().to_owned(),
                        candidates,
                    });
                }
            },
        };
        Ok(Self { format, source })
    }

    /// The format.
    pub const fn format(&self) -> &'static Format {
        self.format
    }

    /// The file's name, as typed.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// How far the file has been read, to be watched while it is.
    pub fn state(&self) -> Arc<ReadState> {
        self.source.state()
    }

    /// Reads conversations one by one, as they are asked for.
    ///
    /// # Errors
    /// When the file turns out not to be of its format at all.
    pub fn stream<'a>(
        self,
        options: &ReadOptions<'a>,
    ) -> Result<ConversationStream<'a>, WorkloadError> {
        ConversationStream::new(self.format, self.source, options)
    }

    /// Reads every conversation that the options select.
    ///
    /// # Errors
    /// When the file is broken, and with `strict` when a row of it is no conversation.
    pub fn read(self, options: &ReadOptions<'_>) -> Result<DataSet, WorkloadError> {
        let (format, state) = (self.format, self.state());
        let mut stream = self.stream(options)?;
        let conversations = stream.by_ref().collect::<Result<Vec<_>, _>>()?;
        Ok(DataSet { format, conversations, report: stream.into_report(), sha256: state.sha256() })
    }
}

/// Conversations of a file, and what became of its other rows.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Its format.
    pub format: &'static Format,
    /// The conversations, in file order; those of traces without text have no messages yet.
    pub conversations: Vec<Conversation>,
    /// What was read, kept, dropped and cut.
    pub report: ReadReport,
    /// SHA-256 of the file in hex; `None` when it was not read to its end.
    pub sha256: Option<String>,
}

fn candidates(peek: &Peek) -> Vec<&'static Format> {
    FORMATS.iter().filter(|format| (format.sniff)(peek)).collect()
}

/// Why no format fits. A file that is no JSON at its very beginning is refused as such.
fn unrecognized(source: Source) -> WorkloadError {
    let path = source.path().to_owned();
    let seen = match source.peek().container() {
        Container::Empty => "is empty".to_owned(),
        Container::Parquet => {
            let columns = source.peek().parquet_columns().join(", ");
            format!("is a Parquet file with the columns {columns}")
        }
        Container::Text => {
            let line: String = source.peek().first_line().chars().take(80).collect();
            format!("begins with {line:?}")
        }
        Container::JsonList | Container::JsonValues => {
            let keys = source.peek().first().as_object().map(|row| {
                let keys: Vec<&str> = row.keys().take(12).map(String::as_str).collect();
                format!("begins with a row of the keys {}", keys.join(", "))
            });
            match keys {
                Some(keys) if !keys.ends_with("keys ") => keys,
                Some(_) => "begins with an empty object".to_owned(),
                None => match source.rows().next().map(|row| row?.value()) {
                    Some(Err(error)) => return error,
                    Some(Ok(value)) => format!("begins with {value}"),
                    None => "has no rows".to_owned(),
                },
            }
        }
    };
    WorkloadError::UnknownFormat { path, seen }
}

#[cfg(test)]
mod tests {
    use super::{DataSet, DataSource, Filters, ReadOptions, Selection};
    use crate::format::Source;

    fn read(text: &str, options: &ReadOptions<'_>) -> Result<DataSet, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in");
        std::fs::write(&path, text).unwrap();
        let shown = format!("{}/", folder.path().display());
        let read = DataSource::new(Source::open(&path).unwrap(), None)
            .and_then(|source| source.read(options));
        read.map_err(|error| error.to_string().replace(&shown, ""))
    }

    fn lines(count: usize) -> String {
        let line = |id| {
            let user = r#"{"role":"user","content":"q"}"#;
            let answer = r#"{"role":"assistant","content":"answer"}"#;
            let messages = vec![[user, answer].join(","); id % 3 + 1].join(",");
            format!("{{\"id\":\"c{id}\",\"messages\":[{messages}]}}\n")
        };
        (0..count).map(line).collect()
    }

    fn ids(text: &str, options: &ReadOptions<'_>) -> Vec<String> {
        read(text, options).unwrap().conversations.into_iter().map(|one| one.id).collect()
    }

    #[test]
    fn the_first_ones_are_taken_without_reading_on() {
        let selection = Selection::First(2);
        let options = ReadOptions { selection, ..ReadOptions::default() };
        let set = read(&(lines(3) + "broken"), &options).unwrap();
        assert_eq!((set.conversations.len(), set.report.kept), (2, 2));
        assert!(read(&(lines(3) + "broken"), &ReadOptions::default()).is_err());
    }

    #[test]
    fn a_broken_end_is_no_matter_when_there_are_enough_before_it() {
        let tokenizer = crate::BuiltinTokenizer::new("o200k_base").unwrap();
        let filters = Filters { max_content_tokens: Some(100), ..Filters::default() };
        let with = |selection| ReadOptions {
            filters,
            selection,
            tokenizer: Some(&tokenizer),
            ..ReadOptions::default()
        };
        let text = lines(3) + "broken";
        assert_eq!(read(&text, &with(Selection::First(3))).unwrap().report.read, 3);
        assert!(read(&text, &with(Selection::First(4))).is_err());
        assert!(read(&text, &with(Selection::All)).is_err());
    }

    #[test]
    fn a_fork_knows_nothing_of_a_parent_that_was_dropped() {
        let child = r#"{"id":"x","parent":{"id":"c0","after_turn":1},
            "messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},
                        {"role":"user","content":"q"}]}"#;
        let filters = Filters { min_turns: Some(3), ..Filters::default() };
        let options = ReadOptions { filters, ..ReadOptions::default() };
        let set = read(&(lines(1) + child), &options).unwrap();
        assert_eq!((set.conversations.len(), set.report.forks_cut), (1, 1));
        assert_eq!(set.conversations[0].parent, None);
        let set = read(&(lines(1) + child), &ReadOptions::default()).unwrap();
        assert!(set.conversations[1].parent.is_some());
    }

    #[test]
    fn a_sample_is_drawn_from_the_seed_and_keeps_the_order() {
        let sample = |seed| {
            let selection = Selection::Sample { count: 5, seed };
            ids(&lines(100), &ReadOptions { selection, ..ReadOptions::default() })
        };
        let first = sample(1);
        assert_eq!((first.len(), &first), (5, &sample(1)));
        assert_ne!(first, sample(2));
        let numbers: Vec<u32> = first.iter().map(|id| id[1..].parse().unwrap()).collect();
        assert!(numbers.is_sorted());
        // Every conversation has the same chance: over many seeds the mean is that of all.
        let drawn: Vec<u32> = (0..200)
            .flat_map(|seed| sample(seed).into_iter().map(|id| id[1..].parse().unwrap()))
            .collect();
        let mean = f64::from(drawn.iter().sum::<u32>()) / drawn.len() as f64;
        assert!((mean - 49.5).abs() < 4.0, "{mean}");
    }

    #[test]
    fn what_filters_drop_is_counted_by_reason() {
        let filters = Filters { min_turns: Some(4), ..Filters::default() };
        let options =
            ReadOptions { filters, selection: Selection::First(2), ..ReadOptions::default() };
        let set = read(&lines(6), &options).unwrap();
        assert_eq!(
            set.conversations.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
            ["c1", "c2"]
        );
        assert_eq!(set.report.dropped.get("fewer messages than --min-turns"), Some(&1));
    }

    #[test]
    fn files_of_no_format_say_what_they_look_like() {
        let error = |text| read(text, &ReadOptions::default()).unwrap_err();
        assert!(error("").starts_with("in: is empty, which is none of the known formats"));
        assert!(error("{\"a\":1,\"b\":2}").starts_with("in: begins with a row of the keys a, b, "));
        assert!(error("x;y\n").starts_with("in: begins with \"x;y\", "));
        assert_eq!(error("{\"a\" 1}"), "in:1: malformed JSON in item 0, at byte 5: expected `:`");
    }
}
