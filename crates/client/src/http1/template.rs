use crate::endpoint::Endpoint;
use crate::error::ClientError;
use crate::http1::{Header, HeaderText};

/// The head of a kind of request, built once; only the conversation's id and the length differ.
#[derive(Clone, Debug)]
pub struct HeadTemplate {
    before_id: Vec<u8>,
    /// What follows the id; `None` when no header carries it.
    after_id: Option<Vec<u8>>,
}

impl HeadTemplate {
    /// Request line, `Host`, then `headers` in their order.
    ///
    /// # Errors
    /// When a header's name or value is not allowed in HTTP.
    pub fn new(
        method: &str,
        endpoint: &Endpoint,
        path: &str,
        headers: &[Header],
    ) -> Result<Self, ClientError> {
        let authority = endpoint.authority();
        let mut bytes = format!("{method} {} HTTP/1.1\r\n", endpoint.target(path)).into_bytes();
        if !headers.iter().any(|header| header.name.eq_ignore_ascii_case("host")) {
            bytes.extend_from_slice(format!("Host: {authority}\r\n").as_bytes());
        }
        let mut before_id = None;
        for Header { name, value } in headers {
            if name.is_empty() || !name.bytes().all(is_token_byte) {
                return Err(ClientError::HeaderName { name: name.clone() });
            }
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            match value {
                HeaderText::Fixed(text) if text.bytes().any(is_control_byte) => {
                    return Err(ClientError::HeaderValue { name: name.clone() });
                }
                HeaderText::Fixed(text) => bytes.extend_from_slice(text.as_bytes()),
                HeaderText::ConversationId => before_id = Some(std::mem::take(&mut bytes)),
            }
            bytes.extend_from_slice(b"\r\n");
        }
        Ok(match before_id {
            Some(before_id) => Self { before_id, after_id: Some(bytes) },
            None => Self { before_id: bytes, after_id: None },
        })
    }

    /// Writes a head to the end of `out`. `content_length` is absent in requests without a body.
    ///
    /// Control characters in the id, which HTTP does not allow, are sent as `?`.
    pub fn write(&self, conversation_id: &str, content_length: Option<usize>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before_id);
        if let Some(after_id) = &self.after_id {
            let id = conversation_id.bytes();
            out.extend(id.map(|byte| if is_control_byte(byte) { b'?' } else { byte }));
            out.extend_from_slice(after_id);
        }
        if let Some(length) = content_length {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

const fn is_control_byte(byte: u8) -> bool {
    byte != b'\t' && byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::HeadTemplate;
    use crate::endpoint::{BasePath, Endpoint};
    use crate::http1::{ChatHeaders, Header, HeaderText, chat_headers};

    fn endpoint() -> Endpoint {
        Endpoint::parse("http://127.0.0.1:8000", BasePath::Normalise).unwrap()
    }

    #[test]
    fn a_head_carries_id_and_length() {
        let options = ChatHeaders { session_id: true, ..ChatHeaders::default() };
        let path = "/v1/chat/completions";
        let template =
            HeadTemplate::new("POST", &endpoint(), path, &chat_headers(&options)).unwrap();
        let mut head = Vec::new();
        template.write("conv\r\n1", Some(12), &mut head);
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\
             Content-Type: application/json\r\nX-Session-ID: conv??1\r\nAccept: */*\r\n"
        ));
        assert!(head.ends_with("\r\nContent-Length: 12\r\n\r\n"));
    }

    #[test]
    fn header_injection_is_refused_without_showing_the_value() {
        for (name, value) in [("a b", "x"), ("", "x"), ("ok", "x\r\nEvil: 1"), ("n:", "v")] {
            let header =
                Header { name: name.to_owned(), value: HeaderText::Fixed(value.to_owned()) };
            let error = HeadTemplate::new("GET", &endpoint(), "/", &[header]).unwrap_err();
            assert!(!error.to_string().contains("Evil"));
        }
    }
}
