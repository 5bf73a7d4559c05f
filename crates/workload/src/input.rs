use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use turnbench_model::Conversation;

use crate::config::FILETYPE;
use crate::{GeneratorConfig, Warning, WorkloadError, conversations, json_file};

/// An input file, read and validated.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// As typed.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// What it holds.
    pub input: Input,
    /// What in it has no effect.
    pub warnings: Vec<Warning>,
}

/// What an input file holds.
#[derive(Clone, Debug)]
pub enum Input {
    /// A generator config.
    Generator(Box<GeneratorConfig>),
    /// A list of conversations; it may be empty.
    Conversations(Vec<Conversation>),
}

impl InputFile {
    /// Reads a file: a JSON list is conversations, a JSON object a generator config.
    ///
    /// # Errors
    /// When it can't be read, is no JSON, or does not hold what it must.
    pub fn read(path: &Path) -> Result<Self, WorkloadError> {
        let bytes = std::fs::read(path)
            .map_err(|source| WorkloadError::ReadInput { path: path.to_owned(), source })?;
        let sha256 = hex(&Sha256::digest(&bytes));
        let text = json_file::to_text(path, bytes)?;
        let json = json_file::parse(path, &text)?;
        let mut warnings = Vec::new();
        let input = match &json {
            Value::Array(_) => {
                Input::Conversations(conversations::from_json(path, &json, &mut warnings)?)
            }
            Value::Object(_) => {
                Input::Generator(Box::new(GeneratorConfig::from_json(path, &json, &mut warnings)?))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(json_file::Node::root(path, &json).refuse(&format!(
                    "a list of conversations, or a generator config (an object with \
                     \"filetype\": {FILETYPE:?})"
                )));
            }
        };
        Ok(Self { path: path.to_owned(), sha256, input, warnings })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Input, InputFile};

    fn read(name: &str, text: &[u8]) -> Result<InputFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let shown = format!("{}/", folder.path().display());
        InputFile::read(&path).map_err(|error| error.to_string().replace(&shown, ""))
    }

    #[test]
    fn the_kind_of_input_follows_from_the_outermost_value() {
        let list = read("a.json", br#"[{"id": "x", "messages": [{"role": "user"}]}]"#).unwrap();
        assert!(matches!(list.input, Input::Conversations(all) if all.len() == 1));
        let digest = "996e74d985fe6fbff1c29e204d27dd436794f7f331fc8504cc9784c550305f65";
        assert_eq!(list.sha256, digest);
        assert!(matches!(
            read("e.json", b"\xef\xbb\xbf[]").unwrap().input,
            Input::Conversations(all) if all.is_empty()
        ));
    }

    #[test]
    fn files_that_are_no_input_are_named_with_line_and_column() {
        let error = |name, text| read(name, text).unwrap_err();
        assert_eq!(error("a.json", b"[1,\n 2,,]"), "a.json:2:4: malformed JSON: expected value");
        assert_eq!(
            error("b.json", b"[\n\"\xff\"]"),
            "b.json:2: invalid UTF-8 at byte 3, expected UTF-8 text"
        );
        assert!(error("c.json", b"5").starts_with("c.json: the document is 5, allowed is a list"));
        assert_eq!(
            error("d.json", b"{}"),
            "d.json: filetype is missing, allowed is \"generate_conversations\"\nhint: an input \
             file is a generator config, or a JSON list of conversations"
        );
        let missing = InputFile::read(std::path::Path::new("none.json")).unwrap_err();
        assert!(missing.to_string().starts_with("--input-file: cannot read none.json: "));
    }
}
