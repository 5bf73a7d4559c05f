//! Hub ids against a stand-in for the Hugging Face Hub on loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use turnbench_model::TokenizerSource;
use turnbench_workload::{DecodeCleanup, HubSettings, LoadError, Loaded, load_tokenizer_with};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn bpe(file: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tokenizer/bpe");
    std::fs::read(folder.join(file)).unwrap()
}

/// A request as the stand-in saw it: path, and whether it carried the right token.
type Seen = Arc<Mutex<Vec<(String, bool)>>>;

struct StandIn {
    endpoint: String,
    seen: Seen,
}

impl StandIn {
    /// Serves until the test's process ends; one request per connection.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Seen::default();
        let (kept, base) = (Arc::clone(&seen), endpoint.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = answer(stream.unwrap(), &kept, &base);
            }
        });
        Self { endpoint, seen }
    }

    fn settings(&self, cache: &Path) -> HubSettings {
        HubSettings {
            endpoint: self.endpoint.clone(),
            cache: cache.to_owned(),
            token: None,
            offline: false,
        }
    }

    fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }
}

fn answer(mut stream: TcpStream, seen: &Seen, base: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut authorized = false;
    for line in lines {
        let line = line?;
        authorized |= line.eq_ignore_ascii_case("authorization: Bearer secret");
        if line.is_empty() {
            break;
        }
    }
    seen.lock().unwrap().push((path.clone(), authorized));
    let commit = format!("X-Repo-Commit: {COMMIT}\r\n");
    let (status, headers, body) = match path.as_str() {
        "/org/model/resolve/main/tokenizer.json" => {
            // As for large files: the content lies elsewhere.
            let headers = format!(
                "{commit}X-Linked-Etag: \"big\"\r\nLocation: {}/cdn/tokenizer\r\n",
                base.replace("127.0.0.1", "localhost")
            );
            ("302 Found", headers, Vec::new())
        }
        "/cdn/tokenizer" => ("200 OK", "ETag: \"other\"\r\n".into(), bpe("tokenizer.json")),
        "/org/model/resolve/main/tokenizer_config.json" => {
            ("200 OK", format!("{commit}ETag: W/\"small\"\r\n"), bpe("tokenizer_config.json"))
        }
        "/old/name/resolve/main/tokenizer.json" => {
            let to = "Location: /org/model/resolve/main/tokenizer.json\r\n".to_owned();
            ("307 Temporary Redirect", to, Vec::new())
        }
        path if path.starts_with("/gated/") && !authorized => {
            ("401 Unauthorized", "X-Error-Code: GatedRepo\r\n".into(), Vec::new())
        }
        path if path.starts_with("/gated/") => {
            ("403 Forbidden", "X-Error-Code: GatedRepo\r\n".into(), Vec::new())
        }
        path if path.starts_with("/none/") => {
            ("401 Unauthorized", "X-Error-Code: RepoNotFound\r\n".into(), Vec::new())
        }
        path if path.starts_with("/broken/") => {
            ("503 Service Unavailable", String::new(), Vec::new())
        }
        _ => ("404 Not Found", "X-Error-Code: EntryNotFound\r\n".into(), Vec::new()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}

fn load(id: &str, settings: &HubSettings) -> Result<Loaded, LoadError> {
    load_tokenizer_with(&TokenizerSource::Hub(id.into()), DecodeCleanup::Auto, settings)
}

#[test]
fn a_model_is_fetched_into_the_standard_cache_and_found_there_offline() {
    let cache = tempfile::tempdir().unwrap();
    let hub = StandIn::start();
    let loaded = load("org/model", &hub.settings(cache.path())).unwrap();
    assert!(!loaded.tokenizer.encode("Sir Walter").unwrap().is_empty());
    assert!(loaded.template.is_none());
    let model: PathBuf = cache.path().join("models--org--model");
    assert_eq!(std::fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(std::fs::read(model.join("blobs/big")).unwrap(), bpe("tokenizer.json"));
    let snapshot = model.join("snapshots").join(COMMIT);
    assert_eq!(loaded.directory.as_deref(), Some(snapshot.as_path()));
    for (file, blob) in [("tokenizer.json", "big"), ("tokenizer_config.json", "small")] {
        let target = std::fs::read_link(snapshot.join(file)).unwrap();
        assert_eq!(target, Path::new("../../blobs").join(blob));
    }
    let offline = HubSettings { offline: true, ..hub.settings(cache.path()) };
    let requests = hub.paths().len();
    load("org/model", &offline).unwrap();
    assert_eq!(hub.paths().len(), requests);
    let text = load("org/other", &offline).unwrap_err().to_string();
    assert!(text.starts_with("HF_HUB_OFFLINE is set, and "), "{text}");
}

#[test]
fn a_hub_out_of_reach_does_not_matter_where_the_cache_has_the_model() {
    let cache = tempfile::tempdir().unwrap();
    let hub = StandIn::start();
    load("org/model", &hub.settings(cache.path())).unwrap();
    // A port that was free a moment ago and that nothing listens on.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{free}");
    let unreachable = HubSettings { endpoint: endpoint.clone(), ..hub.settings(cache.path()) };
    load("org/model", &unreachable).unwrap();
    let error = load("org/other", &unreachable).unwrap_err();
    assert!(matches!(error, LoadError::HubUnreachable { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("cannot reach {endpoint} for \"org/other\"")));
}

#[test]
fn renamed_models_are_followed() {
    let cache = tempfile::tempdir().unwrap();
    let hub = StandIn::start();
    load("old/name", &hub.settings(cache.path())).unwrap();
    assert_eq!(
        hub.paths()[..3].join(" "),
        "/old/name/resolve/main/tokenizer.json \
        /org/model/resolve/main/tokenizer.json /cdn/tokenizer"
    );
}

#[test]
fn refusals_are_told_apart() {
    let cache = tempfile::tempdir().unwrap();
    let hub = StandIn::start();
    let settings = hub.settings(cache.path());
    let error = |id: &str| load(id, &settings).unwrap_err();
    assert!(matches!(error("gated/model"), LoadError::HubDenied { status: 401, .. }));
    assert!(error("gated/model").to_string().contains("HF_TOKEN"));
    assert!(matches!(error("none/model"), LoadError::HubNotFound { .. }));
    assert!(matches!(error("org/bare"), LoadError::HubNoTokenizerFile { .. }));
    assert!(matches!(error("broken/model"), LoadError::HubStatus { status: 503, .. }));
    let with_token = HubSettings { token: Some("secret".into()), ..settings };
    let error = load("gated/model", &with_token).unwrap_err();
    assert!(matches!(error, LoadError::HubDenied { status: 403, .. }));
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let cache = tempfile::tempdir().unwrap();
    let hub = StandIn::start();
    let settings = HubSettings { token: Some("secret".into()), ..hub.settings(cache.path()) };
    load("org/model", &settings).unwrap();
    let seen = hub.seen.lock().unwrap();
    assert!(seen.iter().all(|(path, authorized)| *authorized != path.starts_with("/cdn/")));
}
