use std::fmt::Write as _;
use std::path::Path;

use crate::config::FILETYPE_KEY;
use crate::data_set::DataSource;
use crate::format::{Container, Format, Peek, Source};
use crate::{GeneratorConfig, Warning, WorkloadError, json_file};

/// An input file: a generator config, validated, or a data set, not read yet.
#[derive(Debug)]
pub enum Input {
    /// A generator config.
    Generator(GeneratorFile),
    /// A data set or trace.
    DataSet(DataSource),
}

/// A generator config with its file.
#[derive(Clone, Debug)]
pub struct GeneratorFile {
    /// The config.
    pub config: Box<GeneratorConfig>,
    /// SHA-256 of the file, in hex.
    pub sha256: Option<String>,
    /// What in it has no effect.
    pub warnings: Vec<Warning>,
}

impl Input {
    /// Opens a file. A JSON object with a `filetype` is a generator config; everything else is a
    /// data set, of the given format or of the one that its beginning shows.
    ///
    /// # Errors
    /// When it can't be read, is no valid generator config, or of no format or several.
    pub fn open(path: &Path, format: Option<&'static Format>) -> Result<Self, WorkloadError> {
        let source = Source::open(path)?;
        if format.is_none() && is_generator(source.peek()) {
            return Ok(Self::Generator(read_generator(path, source)?));
        }
        DataSource::new(source, format).map(Self::DataSet)
    }
}

fn is_generator(peek: &Peek) -> bool {
    peek.container() == Container::JsonValues && peek.first().get(FILETYPE_KEY).is_some()
}

fn read_generator(path: &Path, source: Source) -> Result<GeneratorFile, WorkloadError> {
    let state = source.state();
    let text = source.text()?;
    let json = json_file::parse(path, &text)?;
    let mut warnings = Vec::new();
    let config = Box::new(GeneratorConfig::from_json(path, &json, &mut warnings)?);
    Ok(GeneratorFile { config, sha256: state.sha256(), warnings })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::Input;

    fn open(name: &str, text: &[u8]) -> Result<Input, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let shown = format!("{}/", folder.path().display());
        Input::open(&path, None).map_err(|error| error.to_string().replace(&shown, ""))
    }

    #[test]
    fn the_kind_of_input_follows_from_its_beginning() {
        let list = open("a.json", br#"[{"id": "x", "messages": [{"role": "user"}]}]"#).unwrap();
        assert!(matches!(list, Input::DataSet(source) if source.format().name == "conversations"));
        assert!(matches!(open("e.json", b"\xef\xbb\xbf[]").unwrap(), Input::DataSet(_)));
        let generator = open("g.json", br#"{"filetype": "x"}"#).unwrap_err();
        assert!(generator.starts_with("g.json: filetype is \"x\", allowed is"), "{generator}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let missing = Input::open(std::path::Path::new("none.json"), None).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read none.json: "), "{missing}");
    }
}
