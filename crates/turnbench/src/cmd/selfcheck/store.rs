use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::Context;
use serde_json::Value;
use turnbench_metrics::{Capacity, Environment, SELFCHECK_SCHEMA_VERSION, Selfcheck};

use crate::cmd::output;

/// Results by machine: a home directory may be shared by several.
type Kept = BTreeMap<String, Value>;

/// Keeps a result, beside those of other machines; says where.
pub(super) fn keep(found: &Selfcheck) -> anyhow::Result<PathBuf> {
    let path = path().context("neither XDG_STATE_HOME nor HOME is set")?;
    let machine = &found.machine;
    let own = key(machine.cpu_model.as_deref(), machine.kernel.as_deref());
    let mut kept = match read(&path) {
        Ok(kept) => kept.unwrap_or_default(),
        Err(error) => {
            set_aside(&path, &error)?;
            Kept::new()
        }
    };
    kept.insert(own, serde_json::to_value(found)?);
    let folder = path.parent().context("no folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    // Renamed at the end, so that a run beside it reads the old file or the new one.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, &kept)?;
    file.persist(&path)?;
    Ok(path)
}

/// What the selfcheck of this turnbench measured on this machine; `None` where it was never run.
pub(crate) fn capacity(here: &Environment) -> Option<Capacity> {
    let own = key(here.cpu_model.as_deref(), here.kernel.as_deref());
    let found = read(&path()?).ok()??.remove(&own)?;
    if found["schema_version"] != SELFCHECK_SCHEMA_VERSION {
        return None;
    }
    serde_json::from_value::<Selfcheck>(found).ok()?.capacity()
}

/// What is kept; `None` where there is no file.
fn read(path: &Path) -> io::Result<Option<Kept>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves a file that cannot be read out of the way: the results of other machines may be in it.
fn set_aside(path: &Path, error: &io::Error) -> anyhow::Result<()> {
    let aside = path.with_extension("json.damaged");
    fs::rename(path, &aside).with_context(|| format!("cannot rename {}", path.display()))?;
    output::warn(format!(
        "cannot read {}: {error}; it is now {}, with what it held of other machines",
        path.display(),
        aside.display(),
    ));
    Ok(())
}

fn path() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("turnbench/selfcheck.json"))
}

/// What tells machines and builds apart, as far as the speed of a client's thread depends on them. How many
/// cores it may use is no part of it: a run on some of them is held against the same speed.
fn key(cpu_model: Option<&str>, kernel: Option<&str>) -> String {
    let build = if cfg!(debug_assertions) { " (not optimised)" } else { "" };
    format!(
        "{}, kernel {}, turnbench {}{build}",
        cpu_model.unwrap_or("?"),
        kernel.unwrap_or("?"),
        env!("CARGO_PKG_VERSION"),
    )
}
