//! The `turnbench` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    turnbench::run()
}
