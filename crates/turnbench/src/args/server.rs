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
    #[arg(long = "header", value_name = "HEADER", value_parser = parse_header)]
    pub headers: Vec<HeaderArg>,

    /// Accept any TLS certificate
    #[arg(long)]
    pub insecure: bool,

    /// Trust the certificates in this PEM file besides the system's
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
}

/// One `--header`.
#[derive(Clone, Debug)]
pub(crate) struct HeaderArg {
    pub name: String,
    pub value: String,
}

/// Splits at the first ':' if there is one, else at the first '='; both sides trimmed.
fn parse_header(text: &str) -> Result<HeaderArg, String> {
    let separator = if text.contains(':') { ':' } else { '=' };
    let (name, value) = text.split_once(separator).unwrap_or(("", ""));
    let (name, value) = (name.trim(), value.trim());
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err("headers are given as 'Name: value' or 'Name=value'".to_owned());
    }
    if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
        return Err(format!("the value of header '{name}' has a control character"));
    }
    Ok(HeaderArg { name: name.to_owned(), value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::parse_header;

    fn check(text: &str, expect: Option<(&str, &str)>) {
        let parsed = parse_header(text).ok();
        let parsed = parsed.as_ref().map(|header| (header.name.as_str(), header.value.as_str()));
        assert_eq!(parsed, expect, "{text}");
    }

    #[test]
    fn headers_split_at_the_first_colon_else_equals_sign() {
        check("X-A: b", Some(("X-A", "b")));
        check(" X-A = b=c ", Some(("X-A", "b=c")));
        check("X-A: b:c=d", Some(("X-A", "b:c=d")));
        check("X-A:", Some(("X-A", "")));
        check("nosep", None);
        check(": v", None);
        check("a b: v", None);
        check("X: a\r\nB: c", None);
    }
}
