use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::Context;
use serde_json::Value;
use turnbench_metrics::{Capacity, Environment, SELFCHECK_SCHEMA_VERSION, Selfcheck};

/// Results by machine: a home directory may be shared by several.
type Kept = BTreeMap<String, Value>;

/// Keeps a result, beside those of other machines; says where.
pub(super) fn keep(found: &Selfcheck) -> anyhow::Result<PathBuf> {
    let path = path().context("neither XDG_STATE_HOME nor HOME is set")?;
    let machine = &found.machine;
    let own = key(machine.cpu_model.as_deref(), machine.cpu_cores, machine.kernel.as_deref());
    let mut kept = read(&path).unwrap_or_default();
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
    let own = key(here.cpu_model.as_deref(), here.cpu_cores, here.kernel.as_deref());
    let found = read(&path()?)?.remove(&own)?;
    if found["schema_version"] != SELFCHECK_SCHEMA_VERSION {
        return None;
    }
    serde_json::from_value::<Selfcheck>(found).ok()?.capacity()
}

fn read(path: &PathBuf) -> Option<Kept> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn path() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("turnbench/selfcheck.json"))
}

/// What tells machines and builds apart, as far as the client's speed depends on them.
fn key(cpu_model: Option<&str>, cpu_cores: Option<u32>, kernel: Option<&str>) -> String {
    let cores = cpu_cores.map_or_else(|| "?".to_owned(), |cores| cores.to_string());
    let build = if cfg!(debug_assertions) { " (not optimised)" } else { "" };
    format!(
        "{}, {cores} cores, kernel {}, turnbench {}{build}",
        cpu_model.unwrap_or("?"),
        kernel.unwrap_or("?"),
        env!("CARGO_PKG_VERSION"),
    )
}
