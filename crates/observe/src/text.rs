//! The text in which servers show their metrics: Prometheus 0.0.4 and 1.0.0, and OpenMetrics.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Longest page that is read, in bytes.
pub const PAGE_BYTES_MAX: usize = 64 << 20;
/// Longest line, in bytes; the info series of vLLM 0.32 has 1.3 KB.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Most labels of a series.
pub const LABELS_MAX: usize = 128;

/// A page is longer than [`PAGE_BYTES_MAX`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the page has {bytes} bytes, more than {PAGE_BYTES_MAX}")]
pub struct PageTooLong {
    /// What it has.
    pub bytes: usize,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    /// `# TYPE name kind`.
    Type {
        /// Of the family.
        name: Cow<'a, str>,
        /// `counter`, `gauge`, `histogram`, …, as it stands.
        kind: &'a str,
    },
    /// `# HELP name text`.
    Help {
        /// Of the family.
        name: Cow<'a, str>,
        /// As it stands, with its escapes.
        text: &'a str,
    },
    /// A value of a series.
    Sample(Sample<'a>),
}

/// A value of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name, with its suffix (`_total`, `_bucket`, `_created`, …).
    pub name: Cow<'a, str>,
    /// Labels in the order of the line, values unescaped.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Value; may be NaN or infinite.
    pub value: f64,
    /// The server's own time of it, as it stands: milliseconds in Prometheus' format, seconds in
    /// OpenMetrics. `None`: none given.
    pub timestamp: Option<f64>,
}

/// The entries of a page, one after another. A line that is none is counted and skipped; empty
/// lines and comments are passed over; nothing follows `# EOF`.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    bad_lines: u64,
}

impl<'a> Entries<'a> {
    /// Reads a page from its beginning.
    ///
    /// # Errors
    /// When it is longer than [`PAGE_BYTES_MAX`].
    pub const fn new(page: &'a [u8]) -> Result<Self, PageTooLong> {
        if page.len() > PAGE_BYTES_MAX {
            return Err(PageTooLong { bytes: page.len() });
        }
        Ok(Self { rest: page, bad_lines: 0 })
    }

    /// Lines so far that say nothing that can be understood.
    pub const fn bad_lines(&self) -> u64 {
        self.bad_lines
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        while !self.rest.is_empty() {
            let end = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let line = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            let line = line.trim_ascii();
            if line == b"# EOF" {
                self.rest = &[];
            } else if line.len() > LINE_BYTES_MAX {
                self.bad_lines += 1;
            } else if line.starts_with(b"#") {
                // Comments may say anything: what is no TYPE and no HELP is no error.
                if let Some(entry) = std::str::from_utf8(line).ok().and_then(comment) {
                    return Some(entry);
                }
            } else if !line.is_empty() {
                match std::str::from_utf8(line).ok().and_then(sample) {
                    Some(sample) => return Some(Entry::Sample(sample)),
                    None => self.bad_lines += 1,
                }
            }
        }
        None
    }
}

fn comment(line: &str) -> Option<Entry<'_>> {
    let (keyword, rest) = word(line.strip_prefix('#')?.trim_start());
    if !matches!(keyword, "TYPE" | "HELP") {
        return None;
    }
    let (name, rest) = if let Some(quoted) = rest.strip_prefix('"') {
        quoted_text(quoted)?
    } else {
        let (name, rest) = word(rest);
        (Cow::Borrowed(name), rest)
    };
    let rest = rest.trim_start();
    Some(match keyword {
        "TYPE" => Entry::Type { name, kind: rest },
        _ => Entry::Help { name, text: rest },
    })
}

/// The first word, and what follows the blanks after it.
fn word(text: &str) -> (&str, &str) {
    let end = memchr2(b' ', b'\t', text.as_bytes()).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// `name{labels} value [timestamp] [# exemplar]`.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (name, labels, rest) = series(line)?;
    let rest = rest.trim_start();
    // What comes after '#' is an exemplar.
    let rest = rest.split_once('#').map_or(rest, |(numbers, _)| numbers);
    let (value, rest) = word(rest);
    let (timestamp, rest) = word(rest);
    if !rest.is_empty() {
        return None;
    }
    let timestamp = match timestamp {
        "" => None,
        text => Some(number(text)?),
    };
    Some(Sample { name, labels, value: number(value)?, timestamp })
}

/// A number as the formats write it: decimal, `NaN`, `+Inf`, `-Inf`.
fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Name, labels, and what follows them.
pub(crate) type SeriesParts<'a> = (Cow<'a, str>, Vec<(Cow<'a, str>, Cow<'a, str>)>, &'a str);

/// Reads a series' name and labels from the start of `text`.
pub(crate) fn series(text: &str) -> Option<SeriesParts<'_>> {
    let (name, rest) = identifier(text, true);
    let rest = rest.trim_start();
    let mut labels = Vec::new();
    let Some(mut rest) = rest.strip_prefix('{') else {
        return (!name.is_empty()).then_some((Cow::Borrowed(name), labels, rest));
    };
    let mut name = Cow::Borrowed(name);
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return (!name.is_empty()).then_some((name, labels, rest));
        }
        let (label, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_text(quoted)?
        } else {
            let (label, after) = identifier(rest, false);
            (Cow::Borrowed(label), after)
        };
        let after = after.trim_start();
        if let Some(value) = after.strip_prefix('=') {
            let (value, after) = quoted_text(value.trim_start().strip_prefix('"')?)?;
            if label.is_empty() || labels.len() == LABELS_MAX {
                return None;
            }
            labels.push((label, value));
            rest = after;
        } else if name.is_empty() && rest.starts_with('"') && labels.is_empty() {
            // A name that needs quotes stands first within the braces.
            name = label;
            rest = after;
        } else {
            return None;
        }
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// The letters, digits, `_` (and `:`, in names of metrics) at the start; none after a digit at the
/// start.
fn identifier(text: &str, is_metric: bool) -> (&str, &str) {
    let is_part =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b':' && is_metric);
    if text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return ("", text);
    }
    let end = text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// A text up to its closing quote, unescaped, and what follows it. An escape that the formats do
/// not know stays as it is.
fn quoted_text(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let bytes = text.as_bytes();
    let end = memchr2(b'"', b'\\', bytes)?;
    if bytes[end] == b'"' {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut plain = String::with_capacity(text.len().min(256));
    let mut rest = text;
    loop {
        let at = memchr2(b'"', b'\\', rest.as_bytes())?;
        plain.push_str(&rest[..at]);
        if rest.as_bytes()[at] == b'"' {
            return Some((Cow::Owned(plain), &rest[at + 1..]));
        }
        let escaped = rest[at + 1..].chars().next()?;
        match escaped {
            'n' => plain.push('\n'),
            '"' | '\\' => plain.push(escaped),
            other => plain.extend(['\\', other]),
        }
        rest = &rest[at + 1 + escaped.len_utf8()..];
    }
}

#[cfg(test)]
mod tests;
