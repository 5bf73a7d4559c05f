use url::Url;

use crate::error::ClientError;

/// What happens to the path of a base URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BasePath {
    /// Slashes at its end go, and so does a last `/v1`, which the API's paths bring themselves.
    Normalise,
    /// Kept as typed: a slash at the end gives `//v1/…`, as the reference sends it.
    Keep,
}

/// A server's base URL, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    secure: bool,
    host: String,
    port: u16,
    authority: String,
    base_path: String,
}

impl Endpoint {
    /// Takes `url` apart. Scheme `http` or `https`; no user, query or fragment.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn parse(url: &str, base_path: BasePath) -> Result<Self, ClientError> {
        let part = |problem| ClientError::UrlPart { url: without_user(url), problem };
        let parsed = Url::parse(url.trim())
            .map_err(|source| ClientError::Url { url: without_user(url), source })?;
        let secure = match parsed.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(part("its scheme must be http or https")),
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(part("a user name or password in it is not sent, use --header"));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(part("it must end with the path, without ? or #"));
        }
        let host_text = parsed.host_str().ok_or_else(|| part("it has no host"))?.to_owned();
        let port = parsed.port_or_known_default().ok_or_else(|| part("it has no port"))?;
        let authority = match parsed.port() {
            Some(port) => format!("{host_text}:{port}"),
            None => host_text.clone(),
        };
        let path = match parsed.path() {
            // The parser adds the slash that was not typed.
            "/" if !url.trim().ends_with('/') => "",
            path => path,
        };
        let path = match base_path {
            BasePath::Keep => path,
            BasePath::Normalise => {
                let path = path.trim_end_matches('/');
                path.strip_suffix("/v1").unwrap_or(path).trim_end_matches('/')
            }
        };
        let host = host_text.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { secure, host, port, authority, base_path: path.to_owned() })
    }

    /// Whether it is reached over TLS.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host name or address, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The `Host` header's value: the host and, unless it is the scheme's own, the port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The request target of an API path such as `/v1/models`.
    pub fn target(&self, path: &str) -> String {
        format!("{}{path}", self.base_path)
    }

    /// The whole URL of an API path, for messages.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}{path}", self.authority, self.base_path)
    }
}

/// The URL with user and password, which are secrets, blotted out.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match rest.split('/').next().and_then(|authority| authority.rfind('@')) {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{BasePath, Endpoint};

    fn check(url: &str, base_path: BasePath, authority: &str, target: &str) {
        let endpoint = Endpoint::parse(url, base_path).unwrap();
        assert_eq!(endpoint.authority(), authority, "{url}");
        assert_eq!(endpoint.target("/v1/models"), target, "{url}");
    }

    #[test]
    fn slashes_and_v1_at_the_end_do_no_harm() {
        for url in ["http://h:8000", "http://h:8000/", "http://h:8000//", "http://h:8000/v1/"] {
            check(url, BasePath::Normalise, "h:8000", "/v1/models");
        }
        check("https://h/proxy/", BasePath::Normalise, "h", "/proxy/v1/models");
    }

    #[test]
    fn the_path_can_be_kept_as_typed() {
        check("http://h:8000", BasePath::Keep, "h:8000", "/v1/models");
        check("http://h:8000/", BasePath::Keep, "h:8000", "//v1/models");
        check("http://h:8000/v1", BasePath::Keep, "h:8000", "/v1/v1/models");
    }

    #[test]
    fn default_ports_are_left_out_of_the_host_header() {
        check("http://h:80", BasePath::Normalise, "h", "/v1/models");
        check("http://[::1]:9000", BasePath::Normalise, "[::1]:9000", "/v1/models");
        let endpoint = Endpoint::parse("https://[::1]", BasePath::Normalise).unwrap();
        assert_eq!((endpoint.host(), endpoint.port(), endpoint.is_secure()), ("::1", 443, true));
    }

    #[test]
    fn what_is_no_base_url_is_refused_with_the_url() {
        let error = Endpoint::parse("http://u:secret@h", BasePath::Normalise).unwrap_err();
        assert!(error.to_string().contains("`http://***@h`"), "{error}");
        for url in ["localhost:8000", "ftp://h", "http://", "http://h/?a=1"] {
            let error = Endpoint::parse(url, BasePath::Normalise).unwrap_err().to_string();
            assert!(error.contains(&format!("`{url}`")), "{error}");
        }
    }
}
