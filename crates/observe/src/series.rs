use std::fmt::Write;

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

    /// Of a sample.
    pub fn of(sample: &Sample<'_>) -> Self {
        let labels = sample.labels.iter();
        let labels = labels.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Self::new(&sample.name, labels)
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
        let in_braces = !is_plain(&self.name, true);
        if !in_braces {
            key.push_str(&self.name);
        }
        if in_braces || !self.labels.is_empty() {
            key.push('{');
            if in_braces {
                push_quoted(&mut key, &self.name);
            }
            for (at, (name, value)) in self.labels.iter().enumerate() {
                if in_braces || at > 0 {
                    key.push(',');
                }
                if is_plain(name, false) {
                    key.push_str(name);
                } else {
                    push_quoted(&mut key, name);
                }
                key.push('=');
                push_quoted(&mut key, value);
            }
            key.push('}');
        }
        key
    }

    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Whether a name needs no quotes.
fn is_plain(name: &str, is_metric: bool) -> bool {
    let is_part =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b':' && is_metric);
    !name.is_empty() && name.bytes().all(is_part) && !name.as_bytes()[0].is_ascii_digit()
}

fn push_quoted(key: &mut String, text: &str) {
    key.push('"');
    for letter in text.chars() {
        match letter {
            '\n' => key.push_str("\\n"),
            '"' | '\\' => {
                let _ = write!(key, "\\{letter}");
            }
            _ => key.push(letter),
        }
    }
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
