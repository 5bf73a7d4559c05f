use memchr::memmem::Finder;

/// Bytes of a body that stand for one prompt token: an estimate, as nothing is tokenized.
const BYTES_PER_TOKEN: usize = 4;

/// What a request's body asks for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Fields {
    /// `max_completion_tokens`, else `max_tokens`.
    pub(crate) tokens: Option<u32>,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// Estimated.
    pub(crate) prompt_tokens: u32,
}

/// Finds fields by their names, without parsing JSON.
///
/// A name in quotes cannot stand inside a JSON string, where quotes are escaped; that a colon
/// follows tells it from a value. Which object a field belongs to is not looked at.
#[derive(Debug)]
pub(crate) struct FieldFinder {
    max_tokens: Finder<'static>,
    max_completion_tokens: Finder<'static>,
    stream: Finder<'static>,
    include_usage: Finder<'static>,
}

impl FieldFinder {
    /// A finder; make one and keep it.
    pub(crate) fn new() -> Self {
        Self {
            max_tokens: Finder::new("\"max_tokens\""),
            max_completion_tokens: Finder::new("\"max_completion_tokens\""),
            stream: Finder::new("\"stream\""),
            include_usage: Finder::new("\"include_usage\""),
        }
    }

    /// What `body` asks for.
    pub(crate) fn find(&self, body: &[u8]) -> Fields {
        let number = |finder| value(body, finder).and_then(whole_number);
        let flag = |finder| value(body, finder).is_some_and(|value| value.starts_with(b"true"));
        let stream = flag(&self.stream);
        Fields {
            tokens: number(&self.max_completion_tokens).or_else(|| number(&self.max_tokens)),
            stream,
            include_usage: stream && flag(&self.include_usage),
            prompt_tokens: u32::try_from(body.len() / BYTES_PER_TOKEN).unwrap_or(u32::MAX).max(1),
        }
    }
}

/// What follows the first `"name":`.
fn value<'a>(body: &'a [u8], name: &Finder<'_>) -> Option<&'a [u8]> {
    name.find_iter(body).find_map(|at| {
        let after = body[at + name.needle().len()..].trim_ascii_start();
        after.strip_prefix(b":").map(<[u8]>::trim_ascii_start)
    })
}

/// A number of at least 1; larger ones than fit are as large as can be.
fn whole_number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0_u32, |number, digit| {
        number.saturating_mul(10).saturating_add(u32::from(digit - b'0'))
    });
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{FieldFinder, Fields};

    fn check(body: &str, tokens: Option<u32>, stream: bool, include_usage: bool) {
        let prompt_tokens = (body.len() as u32 / 4).max(1);
        let expect = Fields { tokens, stream, include_usage, prompt_tokens };
        assert_eq!(FieldFinder::new().find(body.as_bytes()), expect, "{body}");
    }

    #[test]
    fn fields_are_found_by_their_names_in_any_spacing() {
        check("", None, false, false);
        check("{\"max_tokens\":7}", Some(7), false, false);
        check("{\"max_tokens\" : 12 , \"stream\": true}", Some(12), true, false);
        check(
            "{\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":null}",
            None,
            true,
            true,
        );
        check("{\"max_tokens\":5,\"max_completion_tokens\":6}", Some(6), false, false);
        check("{\"max_tokens\":99999999999}", Some(u32::MAX), false, false);
        check("{\"stream\":false,\"include_usage\":true}", None, false, false);
        check("{\"max_tokens\":", None, false, false);
    }

    #[test]
    fn names_in_texts_are_no_fields() {
        check(
            "{\"content\":\"\\\"max_tokens\\\":3\",\"stop\":[\"max_tokens\"],\"max_tokens\":4}",
            Some(4),
            false,
            false,
        );
        check("{\"content\":\"\\\"stream\\\":true\"}", None, false, false);
    }
}
