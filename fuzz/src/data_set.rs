//! The target on input files.

#![allow(clippy::expect_used, reason = "a target that does not hold panics")]

use turnbench_workload::{Input, ReadOptions};

/// Any bytes as an input file: its format is recognized or not, its rows are read or refused, and an
/// error names the file.
pub fn data_set(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("in.json");
    std::fs::write(&path, data).expect("a temporary file");
    let read = Input::open(&path, None).and_then(|input| match input {
        Input::Generator(_) => Ok(()),
        Input::DataSet(source) => source.read(&ReadOptions::default()).map(|_| ()),
    });
    if let Err(error) = read {
        assert!(error.to_string().contains("in.json"), "{error}");
    }
}
