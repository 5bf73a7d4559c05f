use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;

/// The work of every client: the flags that describe it.
#[derive(Clone, Debug, Parser)]
#[command(about = "One client of turnbench's benchmark; prints one JSON object")]
pub struct Work {
    /// The server, by address and port
    #[arg(long, default_value = "http://127.0.0.1:8000")]
    pub url: String,

    /// Keep-alive connections, each with one request under way
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,

    /// Requests of all connections together
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub requests: u32,

    /// Tokens of each answer
    #[arg(long, default_value_t = 128)]
    pub max_tokens: u32,

    /// Bytes of each request's body, at least
    #[arg(long, default_value_t = 0)]
    pub body_bytes: usize,

    /// Never sleep (only nullclient): the most events per second, at the price of a whole core
    #[arg(long)]
    pub spin: bool,

    /// Model that is asked for
    #[arg(long, default_value = "raw")]
    pub model: String,
}

impl Work {
    /// Where every request goes.
    pub const PATH: &str = "/v1/chat/completions";

    /// Reads the program's arguments; ends the program when they are wrong.
    pub fn of_arguments() -> Self {
        Self::parse()
    }

    /// The server's address.
    ///
    /// # Errors
    /// When the URL is not `http://` with an address and a port.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        let address = self.url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let address = address.and_then(|address| address.parse().ok());
        let url = &self.url;
        address.with_context(|| format!("--url is '{url}'; it must be like http://127.0.0.1:8000"))
    }

    /// A request's body.
    pub fn body(&self) -> String {
        let (model, max_tokens) = (&self.model, self.max_tokens);
        let body = |text: &str| {
            format!(
                "{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}],\
                 \"stream\":true,\"stream_options\":{{\"include_usage\":true}},\
                 \"max_tokens\":{max_tokens},\"ignore_eos\":true}}"
            )
        };
        let missing = self.body_bytes.saturating_sub(body("hello").len());
        body(&format!("hello{}", " word".repeat(missing.div_ceil(5))))
    }

    /// A whole request.
    ///
    /// # Errors
    /// As [`Self::address`].
    pub fn request(&self) -> anyhow::Result<Vec<u8>> {
        let (address, body) = (self.address()?, self.body());
        Ok(format!(
            "POST {} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            Self::PATH,
            body.len()
        )
        .into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Work;
    use clap::Parser;

    #[test]
    fn a_body_is_json_and_as_long_as_asked() {
        for bytes in [0, 500] {
            let work = Work::parse_from(["x", "--body-bytes", &bytes.to_string()]);
            let body = work.body();
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{body}");
            assert!(body.len() >= bytes && body.len() < bytes.max(200) + 5, "{}", body.len());
        }
    }

    #[test]
    fn an_address_has_a_port() {
        let address = |url: &str| Work::parse_from(["x", "--url", url]).address();
        assert_eq!(address("http://127.0.0.1:80/").unwrap().port(), 80);
        assert!(address("http://127.0.0.1").unwrap_err().to_string().contains("--url is"));
    }
}
