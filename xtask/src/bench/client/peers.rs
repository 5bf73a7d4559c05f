use std::env;
use std::path::{Path, PathBuf};

use super::Client;
use super::aiperf::Aiperf;
use super::guidellm::Guidellm;
use super::reference::{Reference, SCRIPT};
use super::vllm_bench::VllmBench;

/// Other projects' clients.
#[derive(Default)]
pub(crate) struct Peers {
    pub(crate) found: Vec<Box<dyn Client>>,
    /// What is not there, and which variable would name it.
    pub(crate) absent: Vec<String>,
}

/// Looks for each: a variable names it, or it is on `PATH`.
pub(crate) fn found() -> Peers {
    let mut peers = Peers::default();
    let python = variable("PYTHON").unwrap_or_else(|| "python3".to_owned());
    peers.take("vllm-bench", "VLLM_BENCH", program("VLLM_BENCH", "vllm-bench"), |command| {
        Box::new(VllmBench { command: command.split_whitespace().map(str::to_owned).collect() })
    });
    peers.take("vLLM's multi-turn script", "REFERENCE", script(), |script| {
        Box::new(Reference { python, script })
    });
    peers.take("aiperf", "AIPERF", program("AIPERF", "aiperf"), |program| {
        Box::new(Aiperf { program })
    });
    peers.take("guidellm", "GUIDELLM", program("GUIDELLM", "guidellm"), |program| {
        Box::new(Guidellm { program })
    });
    peers
}

impl Peers {
    fn take<T>(
        &mut self,
        name: &str,
        variable: &str,
        found: Option<T>,
        client: impl FnOnce(T) -> Box<dyn Client>,
    ) {
        match found {
            Some(found) => self.found.push(client(found)),
            None => self.absent.push(format!("{name} (TURNBENCH_BENCH_{variable})")),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(format!("TURNBENCH_BENCH_{name}")).ok().filter(|value| !value.trim().is_empty())
}

/// The program in a variable, else the one on `PATH`.
fn program(name: &str, on_path: &str) -> Option<String> {
    variable(name).or_else(|| {
        let folders = env::var_os("PATH")?;
        env::split_paths(&folders)
            .any(|folder| folder.join(on_path).is_file())
            .then(|| on_path.to_owned())
    })
}

/// The reference's script, in the folder that the variable names or in a checkout there.
fn script() -> Option<PathBuf> {
    let folder = PathBuf::from(variable("REFERENCE")?);
    let folders = [folder.join("benchmarks/multi_turn"), folder];
    folders.map(|folder| folder.join(SCRIPT)).into_iter().find(|script| Path::is_file(script))
}
