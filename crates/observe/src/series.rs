use memchr::memchr3;

use crate::text::{Sample, series};

/// A series' name and labels, whatever the order in which a page gave them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeriesName {
    /// Name, with its suffix.
    pub name: String,
    /// Labels, ascending by name.
    pub labels: Vec<(String, String)>,
}

impl SeriesName {
    /// Of a name and labels in any order.
    pub fn new(name: &str, mut labels: Vec<(String, String)>) -> Self {
        labels.sort();
        Self { name: name.to_owned(), labels }
    }

    /// Reads what [`SeriesName::key`] wrote; `None` when the text is no series.
    pub fn parse(key: &str) -> Option<Self> {
        let (name, labels, rest) = series(key)?;
        let labels = labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        rest.is_empty().then(|| Self::new(&name, labels))
    }

    /// The series as the format writes it, labels ascending: the same text for the same series.
    pub fn key(&self) -> String {
        let mut key = String::with_capacity(64);
        let labels = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        push_key(&mut key, &self.name, labels);
        key
    }

    /// The key without some labels.
    pub(crate) fn key_without(&self, without: &[&str]) -> String {
        let mut key = String::with_capacity(64);
        let labels = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        push_key(&mut key, &self.name, labels.filter(|(name, _)| !without.contains(name)));
        key
    }

    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Appends a sample's key; its labels are brought into order.
pub(crate) fn push_sample_key(key: &mut String, sample: &mut Sample<'_>) {
    if !sample.labels.is_sorted() {
        sample.labels.sort();
    }
    let labels = sample.labels.iter().map(|(name, value)| (&**name, &**value));
    push_key(key, &sample.name, labels);
}

fn push_key<'a>(key: &mut String, name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut labels = labels.peekable();
    let in_braces = !is_plain(name, true);
    if !in_braces {
        key.push_str(name);
        if labels.peek().is_none() {
            return;
        }
    }
    key.push('{');
    let mut is_first = !in_braces;
    if in_braces {
        push_quoted(key, name);
    }
    for (name, value) in labels {
        if !std::mem::take(&mut is_first) {
            key.push(',');
        }
        if is_plain(name, false) {
            key.push_str(name);
        } else {
            push_quoted(key, name);
        }
        key.push('=');
        push_quoted(key, value);
    }
    key.push('}');
}

/// Whether a name needs no quotes.
fn is_plain(name: &str, is_metric: bool) -> bool {
    let is_part =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b':' && is_metric);
    !name.is_empty() && name.bytes().all(is_part) && !name.as_bytes()[0].is_ascii_digit()
}

fn push_quoted(key: &mut String, text: &str) {
    key.push('"');
    let mut rest = text;
    while let Some(at) = memchr3(b'\n', b'"', b'\\', rest.as_bytes()) {
        key.push_str(&rest[..at]);
        key.push_str(match rest.as_bytes()[at] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &rest[at + 1..];
    }
    key.push_str(rest);
    key.push('"');
}

#[cfg(test)]
mod tests {
    use super::SeriesName;

    #[test]
    fn the_order_of_labels_makes_no_other_series() {
        let series = |text: &str| SeriesName::parse(text).unwrap().key();
        assert_eq!(series("a{c=\"1\",b=\"2\"}"), "a{b=\"2\",c=\"1\"}");
        assert_eq!(series("a{}"), "a");
        assert_eq!(series("{\"a.b\",c=\"\\n\"}"), "{\"a.b\",c=\"\\n\"}");
        assert_eq!(SeriesName::parse("a{b=\"1\"} 2"), None);
    }

    #[test]
    fn a_label_is_found_by_name() {
        let series = SeriesName::parse("a{engine=\"1\"}").unwrap();
        assert_eq!((series.label("engine"), series.label("b")), (Some("1"), None));
    }
}
