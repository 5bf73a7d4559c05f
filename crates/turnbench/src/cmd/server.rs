use std::sync::Arc;

use turnbench_client::http1::ChatHeaders;
use turnbench_client::{ClientError, Connector, ServerInfo, ServerTokenizer, server_info};
use turnbench_metrics::{Environment, ServerModel};
use turnbench_model::Compat;

use crate::cmd::output;
use crate::exit::{Exit, ExitCode};

/// How the server is reached before the run.
pub(crate) struct ServerAccess<'a> {
    pub connector: &'a Arc<Connector>,
    pub headers: &'a ChatHeaders,
}

/// Asks the server for its version and models.
pub(crate) fn info(access: &ServerAccess<'_>, compat: Compat) -> Result<ServerInfo, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let info =
        runtime.block_on(server_info(access.connector, access.headers)).map_err(unreachable)?;
    if matches!(info.models_status, 401 | 403) && compat == Compat::None {
        return Err(Exit::usage(format!(
            "the server at {} {} API key (HTTP {})\nhint: --api-key KEY, or OPENAI_API_KEY",
            access.connector.endpoint().url(""),
            if access.headers.api_key.is_some() { "refuses the" } else { "demands an" },
            info.models_status
        )));
    }
    Ok(info)
}

/// Asks the server for its version and models, and checks the model's name.
pub(crate) fn ask(
    access: &ServerAccess<'_>,
    model: &str,
    compat: Compat,
    environment: &mut Environment,
) -> Result<(), Exit> {
    let info = info(access, compat)?;
    check_model(access, &info, model, compat)?;
    note(info, environment);
    Ok(())
}

/// Keeps what a server says about itself.
pub(crate) fn note(info: ServerInfo, environment: &mut Environment) {
    environment.server_version = info.version;
    environment.server_models = (info.models.unwrap_or_default().into_iter())
        .map(|model| ServerModel { id: model.id, max_model_len: model.max_model_len })
        .collect();
}

/// Checks that the server has a model of this name, as far as it tells.
pub(crate) fn check_model(
    access: &ServerAccess<'_>,
    info: &ServerInfo,
    model: &str,
    compat: Compat,
) -> Result<(), Exit> {
    let models = info.models.as_deref().unwrap_or_default();
    if models.is_empty() || models.iter().any(|known| known.id == model) {
        return Ok(());
    }
    let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    let text = format!(
        "the server at {} has no model '{model}'; it has: {}\nhint: --served-model-name {}",
        access.connector.endpoint().url(""),
        names.join(", "),
        names[0]
    );
    match compat {
        // The reference sends whatever name it was given.
        Compat::Vllm => {
            output::warn(text);
            Ok(())
        }
        Compat::None => Err(Exit::usage(text)),
    }
}

/// The server's own tokenizer.
pub(crate) fn tokenizer(access: &ServerAccess<'_>, model: &str) -> Result<ServerTokenizer, Exit> {
    // Servers don't tell; only drawing ids at random would need to know.
    let vocab_size = u32::MAX;
    ServerTokenizer::new(Arc::clone(access.connector), access.headers, model, vocab_size)
        .map_err(unreachable)
}

fn unreachable(error: ClientError) -> Exit {
    let is_unreachable = matches!(error, ClientError::Unreachable { .. });
    let code = if is_unreachable { ExitCode::Unreachable } else { ExitCode::Usage };
    Exit { code, error: error.into() }
}
