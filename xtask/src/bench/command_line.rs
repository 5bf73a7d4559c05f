//! Command lines and messages as a reader may see them: without the folders of this machine.

use std::path::Path;
use std::process::Command;

/// What stands for what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shortener {
    replacements: Vec<(String, String)>,
}

impl Shortener {
    /// Adds a replacement; earlier ones come first.
    pub(crate) fn with(mut self, text: &str, stand_in: &str) -> Self {
        self.replacements.push((text.to_owned(), stand_in.to_owned()));
        self
    }

    /// A folder, of which nothing is shown.
    pub(crate) fn without_folder(self, folder: &Path) -> Self {
        self.with(&format!("{}/", folder.display()), "")
    }

    /// A text without what is known, and with the last part of any other path that exists here.
    pub(crate) fn text(&self, text: &str) -> String {
        let replaced = |text: String, (from, to): &(String, String)| text.replace(from, to);
        let text = self.replacements.iter().fold(text.to_owned(), replaced);
        let is_border = |c: char| c.is_whitespace() || "\"'`=,;()<>".contains(c);
        let parts = text.split_inclusive(is_border).map(|part| {
            let end = part.trim_end_matches(is_border).trim_end_matches([':', '.']).len();
            let path = Path::new(&part[..end]);
            match path.file_name().filter(|_| path.is_absolute() && path.exists()) {
                Some(name) => format!("{}{}", name.to_string_lossy(), &part[end..]),
                None => part.to_owned(),
            }
        });
        parts.collect()
    }

    /// A command as one types it: what it sets in the environment, the program's name, its arguments.
    pub(crate) fn command(&self, command: &Command) -> String {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default();
        let set = command.get_envs().filter_map(|(name, value)| {
            let value = self.text(&value?.to_string_lossy());
            Some(format!("{}={}", name.to_string_lossy(), quoted(&value)))
        });
        let arguments =
            command.get_args().map(|argument| quoted(&self.text(&argument.to_string_lossy())));
        let words: Vec<String> =
            set.chain([program.to_string_lossy().into_owned()]).chain(arguments).collect();
        words.join(" ")
    }
}

/// As a shell wants it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::Shortener;

    #[test]
    fn a_command_is_shown_as_typed_without_folders() {
        let mut command = Command::new("/opt/programs/client");
        command
            .args(["--url", "http://127.0.0.1:4567", "--endpoint", "/v1/chat", "/runs/now/in.json"])
            .args(["kind=json,path=/runs/now/out.json", "{\"a\": 1}", "/proc/self", ""])
            .env("FOLDER", "/runs/now/stand_in");
        let shortener = Shortener::default()
            .without_folder(Path::new("/runs/now"))
            .with("http://127.0.0.1:4567", "http://127.0.0.1:PORT");
        assert_eq!(
            shortener.command(&command),
            "FOLDER=stand_in client --url http://127.0.0.1:PORT --endpoint /v1/chat in.json \
             kind=json,path=out.json '{\"a\": 1}' self ''"
        );
    }

    #[test]
    fn a_message_names_no_folder_of_this_machine() {
        let shortener = Shortener::default();
        assert_eq!(shortener.text("File \"/proc/self\", line 3"), "File \"self\", line 3");
        assert_eq!(shortener.text("cannot open /proc/self: no\n"), "cannot open self: no\n");
        assert_eq!(shortener.text("GET /v1/models at 12:00"), "GET /v1/models at 12:00");
    }
}
