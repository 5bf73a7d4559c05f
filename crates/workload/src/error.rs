use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use turnbench_model::TokenizerError;
use turnbench_random::RandomError;

/// Why a workload or a tokenizer could not be made. Every text stands for itself: it names the file
/// and the place in it, what was seen and what is allowed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// The input file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    ReadInput {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A text file of a generator config could not be read.
    #[error("{}: text_files[{index}] is {file:?}, which cannot be read: {source}\n{}",
            path.display(), text_file_hint(path, file))]
    ReadTextFile {
        /// The config.
        path: PathBuf,
        /// Place of the text file in its list, from 0.
        index: usize,
        /// The text file, as written there.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not UTF-8 text.
    #[error("{}:{line}: invalid UTF-8 at byte {offset}, expected UTF-8 text", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Line of the first bad byte, from 1.
        line: usize,
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// A file is not JSON.
    #[error("{}:{line}:{column}: malformed JSON: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected or found.
        problem: String,
    },
    /// A row of a JSON file is malformed, or the file ends within it.
    #[error("{}:{line}: malformed JSON in item {item}, at byte {offset}: {problem}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Number of the row, from 0.
        item: u64,
        /// Offset in the (decompressed) file.
        offset: u64,
        /// What was expected or found.
        problem: String,
    },
    /// A value in a JSON file is not what it must be.
    #[error("{}: {field} {seen}, allowed is {allowed}{}", place(path, *line), hint_line(*hint))]
    Field {
        /// The file.
        path: PathBuf,
        /// Line where the row begins, in files of one row a line.
        line: Option<NonZeroU64>,
        /// JSON path, e.g. `prompt_input.num_tokens.min` or `[3].messages[0].role`.
        field: String,
        /// What was found there: `is …`, or `is missing`.
        seen: String,
        /// What is allowed.
        allowed: String,
        /// A way out, where there is one to name.
        hint: Option<&'static str>,
    },
    /// A file is of no known format.
    #[error("{}: {seen}, which is none of the known formats: {}\nhint: --input-format NAME, where \
             the file is one of them; docs/formats.md describes each", path.display(), format_names())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        seen: String,
    },
    /// A file could be of several formats.
    #[error("{}: it could be {}\nhint: --input-format {}", path.display(),
            candidates.join(" or "), candidates.first().unwrap_or(&""))]
    AmbiguousFormat {
        /// The file.
        path: PathBuf,
        /// Names of the formats.
        candidates: Vec<&'static str>,
    },
    /// A Parquet file is damaged or cut off, or uses what the decoder does not know.
    #[error("{}: malformed Parquet in {place}: {}", path.display(), parquet_problem(source))]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Where in it, e.g. `row group 3, column conversation.role`.
        place: String,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A Parquet file in which no reader can jump about, as it must.
    #[error("{}: is Parquet in {how}, allowed is a plain file of it\nhint: {hint}", path.display())]
    ParquetUnseekable {
        /// The file.
        path: PathBuf,
        /// What it is in, e.g. `a pipe`.
        how: &'static str,
        /// A way out.
        hint: &'static str,
    },
    /// A parameter from which nothing can be drawn.
    #[error("cannot draw {field}: {source}")]
    Draw {
        /// JSON path of the distribution.
        field: &'static str,
        /// Why.
        #[source]
        source: RandomError,
    },
    /// The draws ask for more messages than a workload may hold.
    #[error(
        "prompt_input.num_turns asks for {count} messages in all, allowed is at most {max}\n\
             hint: cap the distribution with \"max\""
    )]
    TooManyMessages {
        /// Messages asked for.
        count: u64,
        /// Most that are allowed.
        max: u64,
    },
    /// The text files are too short for a piece of the workload.
    #[error(
        "text_files hold {available} tokens, but the {part} of conversation {conversation}, \
             message {message}, needs more than {needed}\nhint: add text files, or lower \
             num_conversations, prefix_num_tokens or num_tokens"
    )]
    TextTooShort {
        /// Which piece.
        part: TextPart,
        /// Index of the conversation, from 0.
        conversation: usize,
        /// Index of the message, from 0.
        message: usize,
        /// The token count that the text must exceed.
        needed: u64,
        /// Tokens of all text files.
        available: usize,
    },
    /// Encoding or decoding failed.
    #[error("tokenizer failed: {0}")]
    Tokenizer(#[from] TokenizerError),
    /// A tokenizer could not be had.
    #[error(transparent)]
    Load(#[from] crate::tokenizer::LoadError),
    /// A compressed file, or a pipe, of which parts are needed in another order than they come in,
    /// could not be kept beside.
    #[error("cannot unpack {} into a temporary file: {source}\nhint: TMPDIR names another place for \
             temporary files", path.display())]
    Unpack {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Output could not be written.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// A trace could not be given text.
    #[error(transparent)]
    TraceText(#[from] crate::trace_text::TraceTextError),
}

/// The piece of text for which the text files were too short.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TextPart {
    /// The conversation's own prefix, in its first message.
    Prefix,
    /// The text of a user message.
    Prompt,
    /// An assistant message.
    Answer,
}

impl std::fmt::Display for TextPart {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Prefix => "prefix",
            Self::Prompt => "prompt",
            Self::Answer => "answer",
        })
    }
}

/// Where a text file was looked for.
fn text_file_hint(config: &Path, file: &Path) -> String {
    if file.is_absolute() {
        return "hint: name a text file that exists, or one beside the config".to_owned();
    }
    let beside = config.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let working = folder(Path::new("."));
    let beside = folder(beside.unwrap_or(Path::new(".")));
    if beside == working {
        format!("hint: it was looked for in {}", working.display())
    } else {
        let (working, beside) = (working.display(), beside.display());
        format!(
            "hint: it was looked for in the working directory, {working}, and beside the config, in \
             {beside}"
        )
    }
}

/// All formats, for people.
fn format_names() -> String {
    let names: Vec<&str> = crate::FORMATS.iter().map(|format| format.name).collect();
    names.join(", ")
}

/// A file, and the line in it.
fn place(path: &Path, line: Option<NonZeroU64>) -> String {
    match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    }
}

/// The decoder's complaint, without its own preamble.
fn parquet_problem(error: &parquet::errors::ParquetError) -> String {
    let text = error.to_string();
    let bare = ["Parquet error: ", "EOF: ", "NYI: "].iter().find_map(|it| text.strip_prefix(it));
    bare.unwrap_or(&text).to_owned()
}

fn hint_line(hint: Option<&'static str>) -> String {
    hint.map(|text| format!("\nhint: {text}")).unwrap_or_default()
}
