/// One request header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// Name, sent with its case kept.
    pub name: String,
    /// Value.
    pub value: HeaderText,
}

/// A header's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeaderText {
    /// The same in every request.
    Fixed(String),
    /// The conversation's id.
    ConversationId,
}

impl Header {
    fn fixed(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: HeaderText::Fixed(value.to_owned()) }
    }
}

/// What decides the headers of a request.
#[derive(Clone, Debug, Default)]
pub struct ChatHeaders {
    /// `Authorization: Bearer KEY`; goes before a custom `Authorization`.
    pub api_key: Option<String>,
    /// Custom headers in the order given; they replace those of the same name.
    pub custom: Vec<(String, String)>,
    /// Send `X-Session-ID` with the conversation's id.
    pub session_id: bool,
    /// `Accept-Encoding`: `gzip, deflate` as the reference sends it, else `identity`, which keeps
    /// each event's arrival visible.
    pub offer_compression: bool,
}

/// Headers of a chat request, in the reference's order: `Content-Type`, `X-Session-ID`, custom
/// headers, `Accept`, `Accept-Encoding`, `User-Agent`. `Host` and `Content-Length` are not in it.
pub fn chat_headers(options: &ChatHeaders) -> Vec<Header> {
    let mut list = vec![Header::fixed("Content-Type", "application/json")];
    if options.session_id {
        list.push(Header { name: "X-Session-ID".to_owned(), value: HeaderText::ConversationId });
    }
    add_custom(&mut list, options);
    list
}

/// Headers of a GET request: as [`chat_headers`], without content type and session.
pub fn get_headers(options: &ChatHeaders) -> Vec<Header> {
    let mut list = Vec::new();
    add_custom(&mut list, options);
    list
}

fn add_custom(list: &mut Vec<Header>, options: &ChatHeaders) {
    // Two steps, because the reference's dictionary of custom headers minds the case of names
    // and the wire does not: of names that differ only in case the last one wins.
    let mut custom: Vec<(&str, String)> = Vec::new();
    let bearer = options.api_key.as_ref().map(|key| format!("Bearer {key}"));
    let given = options.custom.iter().map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in given.chain(bearer.map(|value| ("Authorization", value))) {
        match custom.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => custom.push((name, value)),
        }
    }
    for (name, value) in &custom {
        let header = Header::fixed(name, value);
        match list.iter_mut().find(|known| known.name.eq_ignore_ascii_case(name)) {
            Some(known) => *known = header,
            None => list.push(header),
        }
    }
    let encoding = if options.offer_compression { "gzip, deflate" } else { "identity" };
    let agent = concat!("turnbench/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [("Accept", "*/*"), ("Accept-Encoding", encoding), ("User-Agent", agent)] {
        if !list.iter().any(|known| known.name.eq_ignore_ascii_case(name)) {
            list.push(Header::fixed(name, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ChatHeaders, HeaderText, chat_headers, get_headers};

    fn lines(list: &[super::Header]) -> Vec<String> {
        let text = |value: &HeaderText| match value {
            HeaderText::Fixed(text) => text.clone(),
            HeaderText::ConversationId => "<id>".to_owned(),
        };
        list.iter().map(|header| format!("{}: {}", header.name, text(&header.value))).collect()
    }

    #[test]
    fn headers_come_in_the_references_order() {
        let options = ChatHeaders { offer_compression: true, ..ChatHeaders::default() };
        let mut expect = vec!["Content-Type: application/json", "Accept: */*"];
        expect.push("Accept-Encoding: gzip, deflate");
        expect.push(concat!("User-Agent: turnbench/", env!("CARGO_PKG_VERSION")));
        assert_eq!(lines(&chat_headers(&options)), expect);
    }

    #[test]
    fn custom_headers_replace_and_the_last_of_two_cases_wins() {
        // As recorded from the reference with these flags.
        let custom = [("Authorization", "Basic zzz"), ("authorization", "lower")];
        let options = ChatHeaders {
            api_key: Some("sk-secret".to_owned()),
            custom: custom
                .iter()
                .chain(&[("X-Session-ID", "mine")])
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            session_id: true,
            offer_compression: true,
        };
        let expect =
            ["Content-Type: application/json", "X-Session-ID: mine", "authorization: lower"];
        assert_eq!(lines(&chat_headers(&options))[..3], expect);
        assert_eq!(
            lines(&get_headers(&options))[..2],
            ["authorization: lower", "X-Session-ID: mine"]
        );
    }

    #[test]
    fn the_api_key_goes_before_a_custom_authorization() {
        let options = ChatHeaders {
            api_key: Some("k".to_owned()),
            custom: vec![("Authorization".to_owned(), "x".to_owned())],
            ..ChatHeaders::default()
        };
        assert_eq!(lines(&get_headers(&options))[0], "Authorization: Bearer k");
    }
}
