//! Conversations out: one file per target, all written through [`Writer`], one conversation at a
//! time. What a target has no place for is left out and counted in the [`WriteReport`].

mod aiperf;
mod block_names;
mod error;
mod json;
mod jsonl;
mod lost;
mod mooncake;
mod openai;
mod output_file;
mod report;
mod sheet;
#[cfg(test)]
mod testing;
mod timing;

use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use turnbench_model::{Conversation, Tokenizer};

pub use error::WriteError;
pub use json::write_conversations_json;
pub use output_file::OutputFile;
pub use report::WriteReport;

use sheet::Sheet;

/// A form in which conversations are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// turnbench's own list `[{"id", "messages"}]`, one JSON document.
    Json,
    /// turnbench's own objects, one a line.
    Jsonl,
    /// Mooncake's trace rows, one a turn: times, lengths and block names, no text.
    Mooncake,
    /// AIPerf's multi-turn rows, one a conversation: what the user says, and when.
    AiPerf,
    /// OpenAI chat rows, one a conversation.
    OpenAi,
}

impl Target {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Mooncake => "mooncake",
            Self::AiPerf => "aiperf",
            Self::OpenAi => "openai",
        }
    }

    /// What a file of this name holds when nothing else is said: JSONL with the extension `jsonl`
    /// or `ndjson`, in any case of letters, otherwise one JSON document.
    pub fn from_path(path: &Path) -> Self {
        let extension = path.extension().map(OsStr::to_ascii_lowercase);
        match extension.as_deref().and_then(|extension| extension.to_str()) {
            Some("jsonl" | "ndjson") => Self::Jsonl,
            _ => Self::Json,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How conversations are written; each target looks at what concerns it.
#[derive(Clone)]
pub struct WriterOptions {
    /// Tokenizes text for targets that hold lengths or block names.
    pub tokenizer: Option<Arc<dyn Tokenizer>>,
    /// Tokens of a block whose name is written, 1 or more; 0 is taken as 1.
    pub block_size: u32,
    /// Spaces for each level of [`Target::Json`].
    pub indent: usize,
    /// Whether [`Target::Json`] writes characters outside ASCII as `\uXXXX`.
    pub ascii: bool,
}

impl WriterOptions {
    /// Tokens of a block in the published Mooncake traces (FAST '25 release).
    pub const MOONCAKE_BLOCK_SIZE: u32 = 512;
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { tokenizer: None, block_size: Self::MOONCAKE_BLOCK_SIZE, indent: 2, ascii: false }
    }
}

impl fmt::Debug for WriterOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WriterOptions")
            .field("tokenizer", &self.tokenizer.is_some())
            .field("block_size", &self.block_size)
            .field("indent", &self.indent)
            .field("ascii", &self.ascii)
            .finish()
    }
}

/// A target's way of writing.
trait Layout {
    fn write(&mut self, conversation: Conversation, sheet: &mut Sheet) -> Result<(), WriteError>;

    fn finish(&mut self, _sheet: &mut Sheet) -> Result<(), WriteError> {
        Ok(())
    }
}

/// Writes conversations one by one; memory holds a few of them at a time. Each row is written with
/// one call, so that an output without a buffer of its own does.
pub struct Writer<'a> {
    layout: Box<dyn Layout>,
    sheet: Sheet<'a>,
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").field("report", &self.sheet.report).finish_non_exhaustive()
    }
}

impl<'a> Writer<'a> {
    /// A writer that has written nothing yet.
    pub fn new(target: Target, options: WriterOptions, out: &'a mut dyn Write) -> Self {
        let layout: Box<dyn Layout> = match target {
            Target::Json => Box::new(json::JsonList::new(&options)),
            Target::Jsonl => Box::new(jsonl::JsonLines),
            Target::Mooncake => Box::new(mooncake::MooncakeRows::new(options)),
            Target::AiPerf => Box::new(aiperf::AiPerfRows::new(options)),
            Target::OpenAi => Box::new(openai::OpenAiRows),
        };
        Self { layout, sheet: Sheet::new(out) }
    }

    /// Writes one conversation, or puts it by to be written with the next ones.
    ///
    /// # Errors
    /// When the output or the tokenizer fails, or a target's needs are not met; the error names the
    /// conversation, which may be one put by before. Nothing useful can be written after it.
    pub fn write(&mut self, conversation: Conversation) -> Result<(), WriteError> {
        self.layout.write(conversation, &mut self.sheet)
    }

    /// Writes what is left, flushes, and says what was written. A writer that is dropped instead
    /// leaves an output that ends anywhere.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn finish(mut self) -> Result<WriteReport, WriteError> {
        self.layout.finish(&mut self.sheet)?;
        self.sheet.flush()?;
        Ok(self.sheet.report)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Target;

    #[test]
    fn an_extension_decides_between_json_and_jsonl() {
        let check = |name: &str, expect| {
            assert_eq!(Target::from_path(Path::new(name)), expect, "{name}");
        };
        check("a.json", Target::Json);
        check("a.jsonl", Target::Jsonl);
        check("a.b.JSONL", Target::Jsonl);
        check("a.ndjson", Target::Jsonl);
        check("a", Target::Json);
        check("-", Target::Json);
        check("jsonl", Target::Json);
    }
}
