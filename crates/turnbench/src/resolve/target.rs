use turnbench_model::{Compat, Target};

use crate::args::ServerArgs;
use crate::exit::Exit;

/// What is sent but never stored.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub api_key: Option<String>,
    /// Custom headers in the order given.
    pub headers: Vec<(String, String)>,
}

/// Where requests go.
pub(crate) fn target(
    args: &ServerArgs,
    model: &str,
    compat: Compat,
) -> Result<(Target, Secrets), Exit> {
    let url = match compat {
        Compat::Vllm => args.url.as_str(),
        Compat::None => args.url.trim_end_matches('/'),
    };
    if let Some(path) = &args.ca_cert
        && let Err(error) = std::fs::File::open(path)
    {
        return Err(Exit::usage(format!("--ca-cert '{}': {error}", path.display())));
    }
    let api_key = args.api_key.clone().filter(|key| !key.is_empty());
    let target = Target {
        url: url.to_owned(),
        served_model_name: args.served_model_name.clone().unwrap_or_else(|| model.to_owned()),
        header_names: args.headers.iter().map(|header| header.name.clone()).collect(),
        api_key: api_key.is_some(),
        insecure: args.insecure,
        ca_cert: args.ca_cert.as_ref().map(|path| path.display().to_string()),
    };
    let headers = args.headers.iter();
    let headers = headers.map(|header| (header.name.clone(), header.value.clone())).collect();
    Ok((target, Secrets { api_key, headers }))
}
