use std::sync::Arc;

use serde_json::Value;
use turnbench_model::Nanos;

use crate::cancel::Cancel;
use crate::connection::Connector;
use crate::error::ClientError;
use crate::http1::{ChatHeaders, HeadTemplate, get_headers};
use crate::response::RawResponse;
use crate::session::{KeepBody, Limits, Request, Session};

/// Time limit of each question.
const LIMIT: Nanos = Nanos::from_millis(10_000);

/// What a server says about itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerInfo {
    /// `/version`; `None` where the server has none.
    pub version: Option<String>,
    /// `/v1/models`; `None` where the server has no such list or does not show it.
    pub models: Option<Vec<ServedModel>>,
    /// Status of `/v1/models`: 401 or 403 is a wrong key.
    pub models_status: u16,
}

/// A model that the server serves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServedModel {
    /// Name to ask for it.
    pub id: String,
    /// Longest context in tokens, where told.
    pub max_model_len: Option<u64>,
}

/// Asks the server for its version and its models, on one connection, within 10 s each.
///
/// Any HTTP answer will do, a 404 above all: most servers have no `/version`.
///
/// # Errors
/// When a header is not allowed, or the server gives no HTTP answer.
pub async fn server_info(
    connector: &Arc<Connector>,
    headers: &ChatHeaders,
) -> Result<ServerInfo, ClientError> {
    let mut session = Session::new(Arc::clone(connector));
    let version = get(&mut session, "/version", headers).await?;
    let models = get(&mut session, "/v1/models", headers).await?;
    Ok(ServerInfo {
        version: (version.status() == Some(200)).then(|| version_of(version.body.bytes())),
        models: if models.status() == Some(200) { models_of(models.body.bytes()) } else { None },
        models_status: models.status().unwrap_or_default(),
    })
}

async fn get(
    session: &mut Session,
    path: &str,
    headers: &ChatHeaders,
) -> Result<RawResponse, ClientError> {
    let connector = Arc::clone(session.connector());
    let mut head = Vec::new();
    HeadTemplate::new("GET", connector.endpoint(), path, &get_headers(headers))?
        .write("", None, &mut head);
    let now = connector.clock().now();
    let request = Request { bytes: &[&head], intended_ns: now, built_ns: Some(now) };
    let limits = Limits { deadline: Some(now + LIMIT), cancel: &Cancel::never() };
    let mut response = session.send(request, limits, &mut KeepBody).await;
    match response.error.take() {
        Some(source) => {
            Err(ClientError::Unreachable { url: connector.endpoint().url(path), source })
        }
        None => Ok(response),
    }
}

/// `{"version": "…"}`, else the text as it is.
fn version_of(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let version = value.get("version").and_then(Value::as_str);
    version.map_or_else(|| String::from_utf8_lossy(body).trim().to_owned(), str::to_owned)
}

fn models_of(body: &[u8]) -> Option<Vec<ServedModel>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let models = value.get("data")?.as_array()?;
    let model = |model: &Value| {
        Some(ServedModel {
            id: model.get("id")?.as_str()?.to_owned(),
            max_model_len: model.get("max_model_len").and_then(Value::as_u64),
        })
    };
    Some(models.iter().filter_map(model).collect())
}

#[cfg(test)]
mod tests {
    use super::{ServedModel, models_of, version_of};

    #[test]
    fn versions_come_as_json_or_text() {
        assert_eq!(version_of(br#"{"version":"0.32.0"}"#), "0.32.0");
        assert_eq!(version_of(b" 1.2\n"), "1.2");
    }

    #[test]
    fn models_without_a_length_are_models_too() {
        let body = br#"{"object":"list","data":[{"id":"a","max_model_len":2048},{"id":"b"},{}]}"#;
        let expect = [
            ServedModel { id: "a".to_owned(), max_model_len: Some(2048) },
            ServedModel { id: "b".to_owned(), max_model_len: None },
        ];
        assert_eq!(models_of(body).unwrap(), expect);
        assert_eq!(models_of(b"<html>"), None);
    }
}
