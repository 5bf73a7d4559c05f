//! Imports point down only: the table of docs/ARCHITECTURE.md against `cargo metadata`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::finding::Finding;
use crate::tree::Tree;

const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";

/// One crate's place.
struct Layer {
    /// Without `turnbench-`, except for the binary.
    name: &'static str,
    /// `None`: stands outside.
    floor: Option<u8>,
    /// The workspace crates it may import.
    may: &'static [&'static str],
}

const fn layer(name: &'static str, floor: u8, may: &'static [&'static str]) -> Layer {
    Layer { name, floor: Some(floor), may }
}

const LAYERS: &[Layer] = &[
    layer("model", 0, &[]),
    layer("random", 0, &[]),
    layer("socket", 1, &["model"]),
    layer("rundir", 1, &["model"]),
    layer("load", 1, &["model", "random"]),
    layer("metrics", 1, &["model", "random"]),
    layer("kvcache", 1, &["model"]),
    layer("prompt", 1, &["model"]),
    layer("workload", 2, &["model", "random", "kvcache", "metrics", "prompt"]),
    layer("client", 2, &["model", "load", "socket", "random"]),
    layer("observe", 2, &["model"]),
    layer("staircase", 2, &["model", "metrics"]),
    layer("simserver", 2, &["model", "kvcache", "prompt", "socket"]),
    layer("report", 2, &["model", "metrics"]),
    layer(
        "turnbench",
        3,
        &[
            "model",
            "random",
            "socket",
            "rundir",
            "load",
            "metrics",
            "kvcache",
            "workload",
            "client",
            "observe",
            "simserver",
            "staircase",
            "report",
        ],
    ),
    Layer { name: "bench", floor: None, may: &["client", "model"] },
    Layer { name: "xtask", floor: None, may: &["turnbench", "report", "metrics", "model"] },
];

/// The highest floor that a dev-dependency may come from.
const DEV_FLOOR_MAX: u8 = 2;

/// `cargo metadata`, as far as it is read.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    workspace_root: String,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `null`, `dev` or `build`.
    kind: Option<String>,
    /// Only dependencies inside the workspace have one.
    path: Option<String>,
}

pub(crate) fn metadata(root: &Path) -> anyhow::Result<Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("cargo metadata did not start")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

pub(crate) fn check(tree: &Tree, metadata: &Metadata) -> Vec<Finding> {
    let mut findings = check_page(tree);
    for package in &metadata.packages {
        let manifest = package
            .manifest_path
            .strip_prefix(&metadata.workspace_root)
            .unwrap_or(&package.manifest_path)
            .trim_start_matches(['/', '\\'])
            .replace('\\', "/");
        let Some(importer) = find(&package.name) else {
            let what = format!("crate `{}` has no floor", package.name);
            let mend = "add it to docs/ARCHITECTURE.md and to LAYERS in xtask/src/tidy/layers.rs";
            findings.push(Finding::new(&manifest, 1, what, mend));
            continue;
        };
        for dependency in &package.dependencies {
            if let Some((what, mend)) = fault(importer, dependency) {
                let line = line_of(tree, &manifest, &dependency.name);
                findings.push(Finding::new(&manifest, line, what, mend));
            }
        }
    }
    findings
}

fn find(package: &str) -> Option<&'static Layer> {
    let name = package.strip_prefix("turnbench-").unwrap_or(package);
    LAYERS.iter().find(|layer| layer.name == name)
}

/// What is wrong with an edge, and how to mend it.
fn fault(importer: &Layer, dependency: &Dependency) -> Option<(String, &'static str)> {
    let dev = dependency.kind.as_deref() == Some("dev");
    let name = dependency.name.as_str();
    if dependency.path.is_some() {
        return inner_fault(importer, name, dev);
    }
    if name.starts_with("clap") && !matches!(importer.name, "turnbench" | "bench" | "xtask") {
        let what = format!("`{}` imports clap", importer.name);
        return Some((what, "only the binary knows the command line; take an options struct"));
    }
    let async_io = ["tokio", "hyper"].iter().any(|io| name.starts_with(io));
    if async_io
        && !dev
        && importer.floor.is_some_and(|floor| floor <= 1)
        && importer.name != "socket"
    {
        let what = format!("`{}` imports {name} on floor 0 or 1", importer.name);
        return Some((what, "keep the core sans-IO; move the effect to floor 2"));
    }
    None
}

fn inner_fault(importer: &Layer, package: &str, dev: bool) -> Option<(String, &'static str)> {
    let Some(imported) = find(package) else {
        return Some((format!("`{package}` has no floor"), "add it to docs/ARCHITECTURE.md"));
    };
    if dev {
        let too_high = imported.floor.is_none_or(|floor| floor > DEV_FLOOR_MAX);
        let what = format!("`{}` tests with `{}`", importer.name, imported.name);
        return too_high.then_some((what, "test it from the binary's own tests"));
    }
    let what = format!("`{}` imports `{}`", importer.name, imported.name);
    (!importer.may.contains(&imported.name))
        .then_some((what, "the layer table of docs/ARCHITECTURE.md has no such edge"))
}

/// The line of a dependency in its manifest, 1 when it is not found.
fn line_of(tree: &Tree, manifest: &str, dependency: &str) -> usize {
    let starts = |line: &str| {
        line.trim_start()
            .strip_prefix(dependency)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    let lines = tree.text(manifest).unwrap_or_default().lines();
    (1..).zip(lines).find(|(_, line)| starts(line)).map_or(1, |(number, _)| number)
}

/// The table on the architecture page must give the same floors.
fn check_page(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.text(ARCHITECTURE) else {
        let what = "the architecture page is missing".to_owned();
        return vec![Finding::new(ARCHITECTURE, 1, what, "write it")];
    };
    let rows: Vec<_> = (1..).zip(page.lines()).filter_map(row).collect();
    let mut findings = Vec::new();
    for (line, floor, name) in &rows {
        if !LAYERS.iter().any(|layer| layer.name == *name && layer.floor == *floor) {
            let what = format!("`{name}` stands elsewhere in xtask/src/tidy/layers.rs");
            findings.push(Finding::new(ARCHITECTURE, *line, what, "make the two tables agree"));
        }
    }
    for layer in LAYERS {
        if !rows.iter().any(|(_, _, name)| *name == layer.name) {
            let what = format!("the table of crates lacks `{}`", layer.name);
            findings.push(Finding::new(ARCHITECTURE, 1, what, "add its row"));
        }
    }
    findings
}

/// Line, floor and name of a table row such as ``| 1 | `load` | …``.
fn row((line, text): (usize, &str)) -> Option<(usize, Option<u8>, &str)> {
    let mut cells = text.strip_prefix('|')?.split('|').map(str::trim);
    let floor = match cells.next()? {
        "" => None,
        digits => Some(digits.parse().ok()?),
    };
    let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    Some((line, floor, name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ARCHITECTURE, LAYERS, Metadata, check};
    use crate::tree::Tree;

    fn page() -> String {
        let row = |layer: &super::Layer| {
            let floor = layer.floor.map(|floor| floor.to_string()).unwrap_or_default();
            format!("| {floor} | `{}` | something | nothing |\n", layer.name)
        };
        LAYERS.iter().map(row).collect()
    }

    /// The findings about one crate with these dependencies.
    fn findings(package: &str, dependencies: &[Value]) -> Vec<String> {
        let metadata = json!({
            "workspace_root": "/repository",
            "packages": [{
                "name": package,
                "manifest_path": "/repository/crates/a/Cargo.toml",
                "dependencies": dependencies,
            }],
        });
        let metadata: Metadata = serde_json::from_value(metadata).unwrap();
        let manifest = "[dependencies]\nturnbench-model.workspace = true\nclap = \"4\"\n";
        let page = page();
        let tree = Tree::of(&[(ARCHITECTURE, &page), ("crates/a/Cargo.toml", manifest)]);
        check(&tree, &metadata).iter().map(ToString::to_string).collect()
    }

    fn inner(name: &str, kind: Option<&str>) -> Value {
        json!({ "name": format!("turnbench-{name}"), "kind": kind, "path": "x" })
    }

    fn outer(name: &str, kind: Option<&str>) -> Value {
        json!({ "name": name, "kind": kind })
    }

    #[track_caller]
    fn passes(package: &str, dependency: Value) {
        assert_eq!(findings(package, &[dependency]), [""; 0]);
    }

    #[track_caller]
    fn fails(package: &str, dependency: Value, expect: &str) {
        let findings = findings(package, &[dependency]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains(expect), "{findings:?}");
    }

    #[test]
    fn edges_of_the_table_pass() {
        passes("turnbench-client", inner("load", None));
        passes("turnbench-socket", outer("tokio", None));
        passes("turnbench", outer("clap", None));
        passes("xtask", outer("clap", None));
        passes("turnbench-load", outer("tokio", Some("dev")));
        passes("turnbench-model", inner("report", Some("dev")));
    }

    #[test]
    fn any_other_edge_fails() {
        let edge = "crates/a/Cargo.toml:2: `random` imports `model`; the layer table";
        fails("turnbench-random", inner("model", None), edge);
        fails("turnbench-load", inner("metrics", None), "`load` imports `metrics`");
        fails("turnbench-report", inner("client", Some("build")), "`report` imports `client`");
        fails("turnbench-model", inner("unknown", None), "`turnbench-unknown` has no floor");
        let binary = json!({ "name": "turnbench", "kind": "dev", "path": "x" });
        fails("turnbench-client", binary, "`client` tests with `turnbench`");
    }

    #[test]
    fn the_command_line_and_sockets_stay_where_they_belong() {
        let clap = "crates/a/Cargo.toml:3: `report` imports clap; only the binary knows";
        fails("turnbench-report", outer("clap", None), clap);
        fails("turnbench-model", outer("clap_complete", Some("dev")), "imports clap");
        fails("turnbench-load", outer("tokio", None), "`load` imports tokio on floor 0 or 1");
        fails("turnbench-kvcache", outer("hyper-util", None), "imports hyper-util");
    }

    #[test]
    fn a_crate_without_a_floor_fails() {
        let found = findings("turnbench-new", &[]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/a/Cargo.toml:1: crate `turnbench-new` has no floor"));
    }

    #[test]
    fn the_architecture_page_must_have_the_same_table() {
        let none = Metadata { packages: Vec::new(), workspace_root: String::new() };
        let moved = page().replace("| 1 | `load` |", "| 2 | `load` |");
        let found = check(&Tree::of(&[(ARCHITECTURE, &moved)]), &none);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.contains("`load` stands elsewhere"));
        let lacking = page().replace("| 1 | `load` |", "| 1 | load |");
        assert!(check(&Tree::of(&[(ARCHITECTURE, &lacking)]), &none)[0].what.contains("lacks"));
        assert_eq!(check(&Tree::of(&[]), &none).len(), 1);
    }
}
