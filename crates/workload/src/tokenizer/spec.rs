use std::path::Path;

use turnbench_model::TokenizerSource;

use super::{BuiltinTokenizer, LoadError};

/// What users type to name a tokenizer:
/// `DIR | HUB_ID | builtin:o200k_base | builtin:cl100k_base | server | none`.
#[derive(Debug)]
pub struct TokenizerSpec;

impl TokenizerSpec {
    /// Reads a name. A directory that exists wins over everything else; a name with one `/` at most,
    /// of letters, digits, `-`, `_` and `.`, is a Hub id.
    ///
    /// # Errors
    /// When it is none of the forms, or an unknown builtin.
    pub fn parse(given: &str) -> Result<TokenizerSource, LoadError> {
        if Path::new(given).is_dir() {
            return Ok(TokenizerSource::Directory(given.to_owned()));
        }
        if let Some(name) = given.strip_prefix("builtin:") {
            return if BuiltinTokenizer::NAMES.contains(&name) {
                Ok(TokenizerSource::Builtin(name.to_owned()))
            } else {
                Err(LoadError::UnknownBuiltin { given: name.to_owned() })
            };
        }
        match given {
            "server" => Ok(TokenizerSource::Server),
            "none" => Ok(TokenizerSource::None),
            id if is_hub_id(id) => Ok(TokenizerSource::Hub(id.to_owned())),
            _ => Err(LoadError::UnknownForm {
                given: given.to_owned(),
                path_like: given.contains(std::path::MAIN_SEPARATOR),
            }),
        }
    }
}

/// Whether a text is spelled as a Hub id: `name` or `owner/name`.
fn is_hub_id(text: &str) -> bool {
    let is_part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=96).contains(&part.len())
            && part.bytes().all(allowed)
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
            && !part.contains("..")
            && !part.contains("--")
    };
    text.split('/').count() <= 2 && text.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use turnbench_model::TokenizerSource;

    use super::TokenizerSpec;

    fn check(given: &str, expect: &TokenizerSource) {
        assert_eq!(&TokenizerSpec::parse(given).unwrap(), expect, "{given}");
    }

    #[test]
    fn each_form_is_told_by_its_spelling() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        check(path, &TokenizerSource::Directory(path.to_owned()));
        check("Qwen/Qwen3-0.6B", &TokenizerSource::Hub("Qwen/Qwen3-0.6B".into()));
        check("gpt2", &TokenizerSource::Hub("gpt2".into()));
        check("builtin:o200k_base", &TokenizerSource::Builtin("o200k_base".into()));
        check("builtin:cl100k_base", &TokenizerSource::Builtin("cl100k_base".into()));
        check("server", &TokenizerSource::Server);
        check("none", &TokenizerSource::None);
    }

    #[test]
    fn other_spellings_are_refused() {
        let error = |given| TokenizerSpec::parse(given).unwrap_err().to_string();
        for given in ["", "/no/such", "a/b/c", "../x", "a b", "a//b", "./x"] {
            assert!(error(given).starts_with(&format!("{given:?} is no tokenizer, allowed is ")));
        }
        assert!(error("/no/such").ends_with("hint: there is no such directory"));
        assert_eq!(
            error("builtin:gpt2"),
            "\"builtin:gpt2\" is no tokenizer, allowed is builtin:o200k_base or builtin:cl100k_base"
        );
    }
}
