use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `turnbench selfcheck`.
#[derive(Debug, Args)]
#[command(
    display_name = "turnbench",
    after_help = "Example:\n  turnbench selfcheck --url http://gpu-server:8000"
)]
pub(crate) struct SelfcheckArgs {
    /// Measure the way to this server too: connections and GET /health, no more
    #[arg(short, long)]
    pub url: Option<String>,

    /// Accept any TLS certificate
    #[arg(long, requires = "url")]
    pub insecure: bool,

    /// Trust the certificates in this PEM file besides the system's
    #[arg(long, value_name = "FILE", requires = "url")]
    pub ca_cert: Option<PathBuf>,

    /// What to print on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: SelfcheckFormat,
}

/// `turnbench selfcheck --format`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum SelfcheckFormat {
    /// What was found and what to change, in words
    #[default]
    Table,
    /// What was found (docs/schema/selfcheck.json)
    Json,
}
