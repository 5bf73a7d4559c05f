use std::path::PathBuf;

use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::LoadError;
use super::hub_cache::HubCache;

/// Files that a tokenizer needs, the indispensable one first.
const FILES: [&str; 3] = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
const REVISION: &str = "main";
const REDIRECTS_MAX: usize = 10;
const RESPONSE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
/// Largest tokenizer file that is fetched; the largest in the field have some 40 MB.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// How the Hugging Face Hub is reached and where its files are cached.
#[derive(Clone)]
pub struct HubSettings {
    /// Base URL, without a trailing slash (`HF_ENDPOINT`).
    pub endpoint: String,
    /// The cache, shared with the Python libraries (`HF_HUB_CACHE`, or `hub` in `HF_HOME`).
    pub cache: PathBuf,
    /// The token (`HF_TOKEN`, or the file `token` in `HF_HOME`). Sent to the endpoint only.
    pub token: Option<String>,
    /// Use the cache alone (`HF_HUB_OFFLINE`).
    pub offline: bool,
}

impl std::fmt::Debug for HubSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("HubSettings")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .finish()
    }
}

impl HubSettings {
    /// What the environment says.
    pub fn from_env() -> Self {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name| lookup(name).filter(|value| !value.trim().is_empty());
        let user_cache = || PathBuf::from(set("HOME").unwrap_or_default()).join(".cache");
        let home = set("HF_HOME").map_or_else(
            || set("XDG_CACHE_HOME").map_or_else(user_cache, PathBuf::from).join("huggingface"),
            PathBuf::from,
        );
        let token_file = set("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
        let token = set("HF_TOKEN")
            .or_else(|| std::fs::read_to_string(token_file).ok())
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty());
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let offline = set("HF_HUB_OFFLINE").is_some_and(|value| {
            ["1", "true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str())
        });
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: set("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from),
            token,
            offline,
        }
    }

    /// The directory in the cache that holds the tokenizer files of a model, fetched as needed. A
    /// Hub that can't be reached does not matter where the cache holds them.
    ///
    /// # Errors
    /// See the variants of [`LoadError`] that begin with `Hub`.
    pub(crate) fn fetch(&self, id: &str) -> Result<PathBuf, LoadError> {
        let cache = HubCache::new(&self.cache, id);
        if self.offline {
            return cache.snapshot(REVISION).ok_or_else(|| LoadError::HubOffline {
                id: id.to_owned(),
                cache: self.cache.clone(),
            });
        }
        match self.download(id, &cache) {
            Err(LoadError::HubUnreachable { source, .. }) => {
                cache.snapshot(REVISION).ok_or_else(|| LoadError::HubUnreachable {
                    id: id.to_owned(),
                    endpoint: self.endpoint.clone(),
                    cache: self.cache.clone(),
                    source,
                })
            }
            other => other,
        }
    }

    fn download(&self, id: &str, cache: &HubCache) -> Result<PathBuf, LoadError> {
        let hub = Hub { settings: self, agent: self.agent(), id };
        let mut snapshot = None;
        for (index, file) in FILES.iter().enumerate() {
            match hub.file(file)? {
                HubFile::Found { commit, etag, mut body } => {
                    let reader = body.with_config().limit(FILE_BYTES_MAX).reader();
                    cache.store(&commit, &etag, file, reader)?;
                    if index == 0 {
                        cache.set_revision(REVISION, &commit)?;
                        snapshot = Some(cache.snapshot_directory(&commit));
                    }
                }
                HubFile::Missing if index == 0 => break,
                HubFile::Missing => {}
            }
        }
        snapshot.ok_or_else(|| LoadError::HubNoTokenizerFile {
            id: id.to_owned(),
            endpoint: self.endpoint.clone(),
        })
    }

    fn agent(&self) -> Agent {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(RESPONSE_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .user_agent(concat!("turnbench/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&self.endpoint) {
            config = config.proxy(None);
        }
        config.build().into()
    }
}

/// Whether a URL leads to this machine, where no proxy is wanted.
fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    ["localhost", "127.", "[::1]"].iter().any(|start| host.starts_with(start))
}

/// One model at the Hub.
struct Hub<'a> {
    settings: &'a HubSettings,
    agent: Agent,
    id: &'a str,
}

enum HubFile {
    Found { commit: String, etag: String, body: Body },
    Missing,
}

impl Hub<'_> {
    /// Asks for a file, following redirects: relative ones (a model that was renamed) as they are,
    /// others (large files at a content network) without the token.
    fn file(&self, name: &str) -> Result<HubFile, LoadError> {
        let endpoint = &self.settings.endpoint;
        let mut url = format!("{endpoint}/{}/resolve/{REVISION}/{name}", self.id);
        let (mut commit, mut etag) = (None, None);
        for _ in 0..REDIRECTS_MAX {
            let response = self.ask(&url)?;
            let header = |name: &str| {
                response
                    .headers()
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            };
            // The Hub's own answer describes the file; a content network's does not.
            commit = commit.or_else(|| header("x-repo-commit"));
            etag = etag.or_else(|| header("x-linked-etag")).or_else(|| header("etag"));
            let status = response.status();
            if status.is_redirection() {
                let Some(location) = header("location") else {
                    return Err(LoadError::HubStatus { url, status: status.as_u16() });
                };
                url = if location.starts_with('/') {
                    format!("{}{location}", origin(&url))
                } else {
                    location
                };
                continue;
            }
            if status != StatusCode::OK {
                return self.refusal(url, &response);
            }
            let commit = commit.unwrap_or_else(|| "unknown".to_owned());
            let etag = etag.unwrap_or_else(|| format!("{commit}-{name}"));
            let body = response.into_body();
            return Ok(HubFile::Found { commit, etag, body });
        }
        Err(LoadError::HubStatus { url, status: StatusCode::FOUND.as_u16() })
    }

    fn ask(&self, url: &str) -> Result<Response<Body>, LoadError> {
        let mut request = self.agent.get(url);
        let own =
            url.strip_prefix(&self.settings.endpoint).is_some_and(|rest| rest.starts_with('/'));
        if let Some(token) = self.settings.token.as_ref().filter(|_| own) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|source| LoadError::HubUnreachable {
            id: self.id.to_owned(),
            endpoint: self.settings.endpoint.clone(),
            cache: self.settings.cache.clone(),
            source: Box::new(source),
        })
    }

    /// What a status other than 200 means; the Hub says it in `X-Error-Code`, and answers 401 for
    /// unknown models when no token is sent.
    fn refusal(&self, url: String, response: &Response<Body>) -> Result<HubFile, LoadError> {
        let (id, endpoint) = (self.id.to_owned(), self.settings.endpoint.clone());
        let status = response.status().as_u16();
        let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok());
        match (status, code) {
            (404, Some("EntryNotFound")) => Ok(HubFile::Missing),
            (404, _) | (401, Some("RepoNotFound")) => Err(LoadError::HubNotFound { id, endpoint }),
            (401 | 403, _) => Err(LoadError::HubDenied { id, endpoint, status }),
            _ => Err(LoadError::HubStatus { url, status }),
        }
    }
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let host_start = url.find("://").map_or(0, |at| at + 3);
    url[host_start..].find('/').map_or(url, |length| &url[..host_start + length])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{HubSettings, is_loopback, origin};

    fn settings(pairs: &[(&str, &str)]) -> HubSettings {
        HubSettings::from_lookup(&|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_decides_cache_token_endpoint_and_mode() {
        let plain = settings(&[("HOME", "/h")]);
        assert_eq!(plain.cache, Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert!(plain.token.is_none() && !plain.offline);
        let set = settings(&[
            ("HF_HOME", "/hf"),
            ("HF_TOKEN", " t \n"),
            ("HF_ENDPOINT", "http://mirror/"),
            ("HF_HUB_OFFLINE", "True"),
        ]);
        assert_eq!(set.cache, Path::new("/hf/hub"));
        assert_eq!(set.token.as_deref(), Some("t"));
        assert_eq!(set.endpoint, "http://mirror");
        assert!(set.offline);
        assert!(!format!("{set:?}").contains("\"t\""));
        assert!(!settings(&[("HF_HUB_OFFLINE", "0")]).offline);
        assert_eq!(settings(&[("HF_HUB_CACHE", "/c")]).cache, Path::new("/c"));
        let xdg = settings(&[("XDG_CACHE_HOME", "/x")]);
        assert_eq!(xdg.cache, Path::new("/x/huggingface/hub"));
    }

    #[test]
    fn parts_of_urls_are_found() {
        assert_eq!(origin("http://a:1/b/c"), "http://a:1");
        assert_eq!(origin("https://a"), "https://a");
        assert!(is_loopback("http://127.0.0.1:8") && is_loopback("http://localhost:8"));
        assert!(!is_loopback("https://huggingface.co"));
    }
}
