use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use turnbench_report::{failed_requests_path, workbook_file_name};

use crate::args::RunArgs;
use crate::exit::Exit;

/// Files to write at the end, proven writable before the first request.
#[derive(Debug, Default)]
pub(crate) struct OutputFiles {
    pub conversations: Option<PathBuf>,
    pub stats_json: Option<PathBuf>,
    pub excel: Option<PathBuf>,
}

impl OutputFiles {
    /// Where failed requests go beside the statistics; nowhere in compat mode, and not beside a
    /// device or pipe.
    pub(crate) fn failed_requests(&self, own: bool) -> Option<PathBuf> {
        let beside = self.stats_json.as_deref().filter(|path| !path.exists() || path.is_file());
        beside.filter(|_| own).map(failed_requests_path)
    }

    /// Checks that every file can be written; a file that was not there is not left behind.
    pub(crate) fn check(args: &RunArgs, now: Timestamp) -> Result<Self, Exit> {
        let files = Self {
            conversations: args.output_file.clone(),
            stats_json: args.stats_json_output.clone(),
            excel: args.excel_output.then(|| excel_path(args.num_clients, now)),
        };
        let failed = files.failed_requests(args.compat.is_none());
        for (flag, path) in [
            ("--output-file", &files.conversations),
            ("--stats-json-output", &files.stats_json),
            ("--stats-json-output", &failed),
            ("--excel-output", &files.excel),
        ] {
            if let Some(path) = path {
                check_writable(flag, path)?;
            }
        }
        Ok(files)
    }
}

/// Checks that a file can be written, and leaves none behind that was not there.
pub(crate) fn check_writable(flag: &str, path: &Path) -> Result<(), Exit> {
    let there = OpenOptions::new().append(true).open(path);
    let opened = match there {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let created = OpenOptions::new().append(true).create_new(true).open(path);
            // A link to nowhere exists, and is opened to good purpose later.
            match created {
                Ok(_) => std::fs::remove_file(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(error),
            }
        }
        there => there.map(|_| ()),
    };
    opened.map_err(|error| {
        Exit::usage(format!(
            "{flag}: cannot write '{}': {error}\nhint: name a file in a directory that exists",
            path.display()
        ))
    })
}

/// The reference's file name, in the working directory.
fn excel_path(clients: i64, now: Timestamp) -> PathBuf {
    let local = TimeZone::system().to_datetime(now);
    PathBuf::from(workbook_file_name(u32::try_from(clients).unwrap_or(u32::MAX), local))
}

/// Where the run's files go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RunDirPlace {
    /// `--run-dir none`.
    Nowhere,
    /// `--run-dir DIR`.
    Given(PathBuf),
    /// `runs/<UTC time>-<model>`, numbered where another run has the name.
    Default(PathBuf),
}

/// `--run-dir`, resolved.
pub(crate) fn run_dir_place(given: Option<&str>, model: &str, now: Timestamp) -> RunDirPlace {
    match given {
        Some("none") => RunDirPlace::Nowhere,
        Some(path) => RunDirPlace::Given(PathBuf::from(path)),
        None => {
            let name = model.trim_end_matches('/').rsplit('/').next().unwrap_or(model);
            let name: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
                .collect();
            let name = format!("{}-{name}", now.strftime("%Y%m%dT%H%M%SZ"));
            RunDirPlace::Default(Path::new("runs").join(name))
        }
    }
}
