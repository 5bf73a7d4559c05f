use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// The programs that are measured, as release builds.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) turnbench: PathBuf,
    /// Where they are.
    pub(crate) folder: PathBuf,
}

/// A line of `cargo build --message-format json`.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

impl Programs {
    /// Those in a folder.
    pub(crate) fn of(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let turnbench = folder.join("turnbench");
        ensure!(
            turnbench.is_file(),
            "--programs is '{}'; turnbench is not there",
            folder.display()
        );
        Ok(Self { turnbench, folder })
    }

    /// Builds them.
    pub(crate) fn build(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new("cargo")
            .args(["build", "--release", "--locked", "--message-format", "json-render-diagnostics"])
            .args(["-p", "turnbench", "-p", "turnbench-bench"])
            .current_dir(root)
            .stderr(std::process::Stdio::inherit())
            .output()
            .context("cargo did not start")?;
        ensure!(output.status.success(), "the release build failed");
        let text = String::from_utf8_lossy(&output.stdout);
        let turnbench = executable(&text, "turnbench").context("cargo built no turnbench")?;
        let folder = turnbench.parent().context("turnbench is in no folder")?.to_owned();
        Ok(Self { turnbench, folder })
    }
}

/// Where cargo put a program.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages
        .filter_map(|message| message.executable)
        .find(|path| path.file_stem().is_some_and(|stem| stem == name))
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn a_program_is_found_in_what_cargo_says() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
             {\"reason\":\"compiler-artifact\",\"executable\":\"a/nullclient\"}\nwarning\n\
             {\"reason\":\"compiler-artifact\",\"executable\":\"a/turnbench\"}\n";
        let found = executable(messages, "turnbench").unwrap();
        assert_eq!(found.to_str(), Some("a/turnbench"));
        assert_eq!(executable(messages, "turnclient"), None);
    }
}
