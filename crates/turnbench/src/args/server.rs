use std::path::PathBuf;

use clap::Args;

/// The server and how to reach it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Base URL of the server, http or https
    #[arg(short, long, default_value = "http://localhost:8000")]
    pub url: String,

    /// Model name sent in requests, when the server knows the model by another name than --model
    #[arg(long, value_name = "NAME")]
    pub served_model_name: Option<String>,

    /// API key, sent as "Authorization: Bearer KEY"; never stored
    #[arg(long, value_name = "KEY", env = "OPENAI_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,

    /// Extra header of every request, "Name: value" or "Name=value"; repeatable
    #[arg(long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,

    /// Accept any TLS certificate
    #[arg(long)]
    pub insecure: bool,

    /// Trust the certificates in this PEM file besides the system's
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
}
