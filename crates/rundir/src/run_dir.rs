use std::fs;
use std::io::{self, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::written_lines::READ_BYTES;
use crate::{JsonLines, LinesWriter, RunDirError};

/// The resolved plan.
pub const PLAN_FILE: &str = "plan.json";
/// Versions, machine, server.
pub const ENVIRONMENT_FILE: &str = "environment.json";
/// Raw records, one a line.
pub const RECORDS_FILE: &str = "records.jsonl";
/// Local token counts, one line for each record.
pub const TOKEN_COUNTS_FILE: &str = "token_counts.jsonl";
/// How prompts were put into blocks.
pub const PROMPTS_FILE: &str = "prompts.json";
/// The blocks of prompts and answers, one line for each record.
pub const PROMPT_BLOCKS_FILE: &str = "prompt_blocks.jsonl";
/// Samples of the server's metrics.
pub const SERVER_METRICS_FILE: &str = "server_metrics.jsonl";
/// What became of the conversations.
pub const RUN_FACTS_FILE: &str = "run_facts.json";
/// The resolved plan of `cache tiers`.
pub const TIERS_PLAN_FILE: &str = "tiers_plan.json";
/// What `cache tiers` found.
pub const TIERS_REPORT_FILE: &str = "tiers_report.json";
/// The run report.
pub const REPORT_FILE: &str = "report.json";

/// One run's directory.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates the directory, with its parents; it may exist if it is empty.
    ///
    /// # Errors
    /// When it has files in it, or cannot be created.
    pub fn create(path: &Path) -> Result<Self, RunDirError> {
        fs::create_dir_all(path)
            .map_err(|source| RunDirError::Create { path: path.to_owned(), source })?;
        let mut entries = fs::read_dir(path).map_err(RunDirError::io("read", path))?;
        if entries.next().is_some() {
            return Err(RunDirError::NotEmpty { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Creates a directory of this name that is new, numbered from 2 where the name is taken.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create_new(path: &Path) -> Result<Self, RunDirError> {
        let refused = |source| RunDirError::Create { path: path.to_owned(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(refused)?;
        }
        let mut candidate = path.to_owned();
        for number in 2_u32.. {
            match fs::create_dir(&candidate) {
                Ok(()) => break,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    let mut name = path.as_os_str().to_owned();
                    name.push(format!("-{number}"));
                    candidate = PathBuf::from(name);
                }
                Err(error) => return Err(refused(error)),
            }
        }
        Ok(Self { path: candidate })
    }

    /// Opens a directory that a run left.
    ///
    /// # Errors
    /// When there is none, or it holds no plan.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        if path.join(PLAN_FILE).is_file() {
            Ok(Self { path: path.to_owned() })
        } else if !path.exists() {
            Err(RunDirError::Missing { path: path.to_owned() })
        } else {
            Err(RunDirError::NotARun { path: path.to_owned(), file: PLAN_FILE })
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `value` as indented JSON; the file appears whole or not at all.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_json(&self, file: &str, value: &impl Serialize) -> Result<(), RunDirError> {
        let path = self.path.join(file);
        let part = self.path.join(format!("{file}.part"));
        let write = || -> std::io::Result<()> {
            let mut out = fs::File::create(&part)?;
            let mut text = serde_json::to_vec_pretty(value)?;
            text.push(b'\n');
            out.write_all(&text)?;
            out.sync_data()?;
            fs::rename(&part, &path)
        };
        write().map_err(RunDirError::io("write", &path))
    }

    /// Reads a JSON file; `None` when the run ended before it was written.
    ///
    /// # Errors
    /// When it cannot be read, or is not a `T`.
    pub fn read_json<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, RunDirError> {
        let path = self.path.join(file);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RunDirError::io("read", &path)(error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|source| RunDirError::Malformed {
            path,
            line: source.line(),
            source,
        })
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// When that is refused.
    pub fn remove(&self, file: &str) -> Result<(), RunDirError> {
        let path = self.path.join(file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(RunDirError::io("remove", &path)),
        }
    }

    /// Opens a file of JSON lines for writing.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create_lines(&self, file: &str) -> Result<LinesWriter, RunDirError> {
        LinesWriter::create(&self.path.join(file))
    }

    /// Reads a file of JSON lines; a file that was never written reads as empty.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn read_lines(&self, file: &str) -> Result<JsonLines<'static>, RunDirError> {
        let path = self.path.join(file);
        match fs::File::open(&path) {
            Ok(file) => Ok(JsonLines::new(&path, BufReader::with_capacity(READ_BYTES, file))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(JsonLines::new(&path, io::empty()))
            }
            Err(error) => Err(RunDirError::io("read", &path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RunDir;
    use crate::RunDirError;

    #[test]
    fn a_directory_with_files_is_never_written_into() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::write(parent.path().join("mine.txt"), "x").unwrap();
        let error = RunDir::create(parent.path()).unwrap_err();
        assert!(matches!(error, RunDirError::NotEmpty { .. }), "{error}");
    }

    #[test]
    fn runs_of_the_same_second_get_numbers() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("runs/now");
        let names: Vec<_> = (0..3)
            .map(|_| RunDir::create_new(&path).unwrap().path().file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["now", "now-2", "now-3"]);
    }

    #[test]
    fn a_directory_without_a_plan_is_not_a_run() {
        let parent = tempfile::tempdir().unwrap();
        let error = RunDir::open(parent.path()).unwrap_err();
        assert!(matches!(error, RunDirError::NotARun { .. }), "{error}");
    }

    #[test]
    fn json_reads_back_and_a_missing_file_is_none() {
        let parent = tempfile::tempdir().unwrap();
        let run_dir = RunDir::create(&parent.path().join("a/b")).unwrap();
        run_dir.write_json("plan.json", &vec![1, 2]).unwrap();
        assert_eq!(run_dir.read_json::<Vec<u8>>("plan.json").unwrap(), Some(vec![1, 2]));
        assert_eq!(run_dir.read_json::<Vec<u8>>("report.json").unwrap(), None);
        assert!(run_dir.read_json::<String>("plan.json").is_err());
    }
}
