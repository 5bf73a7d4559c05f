mod field;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::json_file::Node;
use crate::{Distribution, Number, Warning, WorkloadError};
use field::{FieldKind, distribution};

/// The value of `filetype` in a generator config.
/// The key by which a generator config is known.
pub(crate) const FILETYPE_KEY: &str = "filetype";

pub(crate) const FILETYPE: &str = "generate_conversations";

/// Most conversations that one config may ask for.
const CONVERSATIONS_MAX: i64 = 10_000_000;

/// A validated generator config: what conversations to make from which texts.
///
/// The file is a JSON object with the keys of vLLM's multi-turn benchmark: `filetype`
/// (`"generate_conversations"`), `num_conversations` (1 to 10,000,000), `text_files` (one at
/// least), `print_stats` (default false), `prompt_input` with the distributions `num_turns`,
/// `num_tokens`, `prefix_num_tokens` and optionally `common_prefix_num_tokens` (default 0), and
/// `prompt_output` with `num_tokens`.
///
/// A distribution is `{"distribution": NAME, …}` with `constant` (`value`), `uniform` (`min` above
/// 0, `max`), `zipf` (`alpha` above 1), `poisson` (`alpha` from 0) or `lognormal` (`average` from
/// 1, with `median_ratio` in (0, 1), default 0.85; or `mean` above 0 and `sigma` from 0); `max`
/// caps the last three, 0 or null being no cap. Only `num_tokens` fields take floats, whose
/// fraction is cut off.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorConfig {
    /// The file it came from; text files are also looked for beside it.
    pub path: PathBuf,
    /// Conversations to make.
    pub num_conversations: u32,
    /// Text files, as written.
    pub text_files: Vec<PathBuf>,
    /// Whether statistics of the conversations are wanted.
    pub print_stats: bool,
    /// Messages of a conversation (the reference calls them turns); made even, 2 at least.
    pub num_turns: Distribution,
    /// Tokens of the text that all conversations begin with.
    pub common_prefix_num_tokens: Distribution,
    /// Tokens of the text that only this conversation begins with.
    pub prefix_num_tokens: Distribution,
    /// Tokens of a user message.
    pub num_tokens: Distribution,
    /// Tokens of an assistant message.
    pub output_num_tokens: Distribution,
}

impl GeneratorConfig {
    /// Validates a parsed config; `path` is its file, for messages and for finding text files.
    ///
    /// # Errors
    /// The first field that is missing or out of range, with its JSON path.
    pub fn from_json(
        path: &Path,
        json: &Value,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, WorkloadError> {
        let root = Node::root(path, json);
        root.object()?;
        check_filetype(&root)?;
        let num_conversations = conversations_count(&root.key("num_conversations"))?;
        let text_files = text_files(&root.key("text_files"))?;
        let input = root.key("prompt_input");
        input.object()?;
        let output = root.key("prompt_output");
        output.object()?;
        let num_turns = distribution(&input.key("num_turns"), FieldKind::Count, warnings)?;
        let num_tokens = distribution(&input.key("num_tokens"), FieldKind::Tokens, warnings)?;
        let common = input.key("common_prefix_num_tokens");
        let common_prefix_num_tokens = match common.value() {
            None => Distribution::Constant(Number::Int(0)),
            Some(_) => distribution(&common, FieldKind::Count, warnings)?,
        };
        let prefix_num_tokens =
            distribution(&input.key("prefix_num_tokens"), FieldKind::Count, warnings)?;
        let output_num_tokens =
            distribution(&output.key("num_tokens"), FieldKind::Tokens, warnings)?;
        let print_stats = match root.key("print_stats").value() {
            None => false,
            Some(Value::Bool(print)) => *print,
            Some(_) => return Err(root.key("print_stats").refuse("true or false")),
        };
        warn_of_unknown_keys(&root, warnings);
        Ok(Self {
            path: path.to_owned(),
            num_conversations,
            text_files,
            print_stats,
            num_turns,
            common_prefix_num_tokens,
            prefix_num_tokens,
            num_tokens,
            output_num_tokens,
        })
    }

    /// The (name, text) lines that describe this config in a run's parameter block.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let files: Vec<_> = self.text_files.iter().map(|file| file.to_string_lossy()).collect();
        let mut lines = vec![("text_files".to_owned(), files.join(", "))];
        for (name, distribution) in [
            ("input_num_turns", &self.num_turns),
            ("input_common_prefix_num_tokens", &self.common_prefix_num_tokens),
            ("input_prefix_num_tokens", &self.prefix_num_tokens),
            ("input_num_tokens", &self.num_tokens),
            ("output_num_tokens", &self.output_num_tokens),
        ] {
            lines.push((name.to_owned(), distribution.to_string()));
        }
        lines
    }

    /// Where a text file is: relative to the working directory, as in the reference, or else beside
    /// the config.
    pub(crate) fn resolve(&self, text_file: &Path) -> PathBuf {
        if text_file.is_absolute() || text_file.exists() {
            return text_file.to_owned();
        }
        let beside = self.path.parent().unwrap_or(Path::new("")).join(text_file);
        if beside.exists() { beside } else { text_file.to_owned() }
    }
}

fn check_filetype(root: &Node) -> Result<(), WorkloadError> {
    let node = root.key("filetype");
    match node.value().and_then(Value::as_str) {
        Some(FILETYPE) => Ok(()),
        _ => Err(node.refuse_with_hint(
            &format!("{FILETYPE:?}"),
            Some("an input file is a generator config, or a JSON list of conversations"),
        )),
    }
}

fn conversations_count(node: &Node) -> Result<u32, WorkloadError> {
    node.value()
        .and_then(Value::as_i64)
        .filter(|count| (1..=CONVERSATIONS_MAX).contains(count))
        .map(|count| count as u32)
        .ok_or_else(|| node.refuse("a whole number from 1 to 10000000"))
}

fn text_files(node: &Node) -> Result<Vec<PathBuf>, WorkloadError> {
    const ALLOWED: &str = "a list of file names with one at least";
    let items = node.items().ok_or_else(|| node.refuse(ALLOWED))?;
    let files = items
        .map(|item| item.string("a file name").map(PathBuf::from))
        .collect::<Result<Vec<_>, _>>()?;
    if files.is_empty() { Err(node.refuse(ALLOWED)) } else { Ok(files) }
}

fn warn_of_unknown_keys(root: &Node, warnings: &mut Vec<Warning>) {
    const ROOT: [&str; 6] = [
        "filetype",
        "num_conversations",
        "text_files",
        "print_stats",
        "prompt_input",
        "prompt_output",
    ];
    const INPUT: [&str; 4] =
        ["num_turns", "num_tokens", "prefix_num_tokens", "common_prefix_num_tokens"];
    root.unknown_keys(&ROOT, warnings);
    root.key("prompt_input").unknown_keys(&INPUT, warnings);
    root.key("prompt_output").unknown_keys(&["num_tokens"], warnings);
}
