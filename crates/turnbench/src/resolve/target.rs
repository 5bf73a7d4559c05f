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
    let headers: Vec<_> = args.headers.iter().map(|text| header(text)).collect::<Result<_, _>>()?;
    let target = Target {
        url: url.to_owned(),
        served_model_name: args.served_model_name.clone().unwrap_or_else(|| model.to_owned()),
        header_names: headers.iter().map(|(name, _)| name.clone()).collect(),
        api_key: api_key.is_some(),
        insecure: args.insecure,
        ca_cert: args.ca_cert.as_ref().map(|path| path.display().to_string()),
    };
    Ok((target, Secrets { api_key, headers }))
}

/// Splits a `--header` at the first ':' if there is one, else at the first '='; both sides
/// trimmed. A value may be a secret, so no complaint shows it.
fn header(text: &str) -> Result<(String, String), Exit> {
    let separator = if text.contains(':') { ':' } else { '=' };
    let (name, value) = text.split_once(separator).unwrap_or(("", ""));
    let (name, value) = (name.trim(), value.trim());
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(Exit::usage(
            "--header: a header has no name that HTTP allows; it must be given as 'Name: value' or \
             'Name=value'",
        ));
    }
    if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
        return Err(Exit::usage(format!(
            "--header: the value of '{name}' has a control character, which HTTP does not allow"
        )));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::header;

    fn check(text: &str, expect: Option<(&str, &str)>) {
        let parsed = header(text).ok();
        let parsed = parsed.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
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

    #[test]
    fn a_complaint_does_not_show_what_may_be_a_secret() {
        let exit = header("Authorization Bearer sk-secret").unwrap_err();
        assert!(!exit.error.to_string().contains("secret"));
    }
}
