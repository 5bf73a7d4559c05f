//! Small pieces of text that our own blocks share.

use std::fmt::Write;

pub(super) use turnbench_metrics::grouped;

/// Columns where nothing tells how many there are, and the narrowest that tables are made for.
pub(super) const WIDTH: usize = 80;

/// Columns between which prose adapts: longer lines are hard to read, shorter ones fall apart.
const PROSE_WIDTHS: (usize, usize) = (40, 100);

/// Milliseconds with about three significant digits; `-` when not known.
pub(super) fn millis(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// A ratio as a percentage; `-` when not known.
pub(super) fn percentage(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0))
}

/// `1 request`, `2 requests`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Columns before the text of a labelled block.
const LABEL_WIDTH: usize = 15;

/// `text` behind a label, broken at spaces as by [`wrapped`].
pub(super) fn labelled(width: usize, label: &str, text: &str) -> String {
    wrapped(width, &format!("{label:<LABEL_WIDTH$}"), text, LABEL_WIDTH)
}

/// Units that stay with the number before them.
const UNITS: [&str; 7] = ["%", "s", "ms", "us", "MB", "MiB", "GiB"];

/// The words of a text, a number and its unit as one.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text.split_whitespace().peekable();
    std::iter::from_fn(move || {
        let mut word = rest.next()?.to_owned();
        let is_unit = |next: &&str| {
            UNITS.contains(
                &next.trim_end_matches(|last: char| last.is_ascii_punctuation() && last != '%'),
            )
        };
        if word.ends_with(|last: char| last.is_ascii_digit())
            && let Some(unit) = rest.next_if(is_unit)
        {
            word.push(' ');
            word.push_str(unit);
        }
        Some(word)
    })
}

/// `text` behind `prefix`, broken at spaces into lines for a terminal of `width` columns, but not of
/// more than 100 characters, nor of fewer than 40; all but the first have `indent` spaces before them.
/// A longer word stands alone; a number keeps its unit.
pub(super) fn wrapped(width: usize, prefix: &str, text: &str, indent: usize) -> String {
    let (narrowest, widest) = PROSE_WIDTHS;
    let width = width.clamp(narrowest, widest);
    let mut lines = prefix.to_owned();
    let mut length = prefix.chars().count();
    let mut line_is_empty = true;
    for word in words(text) {
        let word_length = word.chars().count();
        if !line_is_empty && length + 1 + word_length > width {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            length = indent;
        } else if !line_is_empty {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(&word);
        length += word_length;
        line_is_empty = false;
    }
    lines.push('\n');
    lines
}

/// A table with one heading line: the first column at the left, the others right-aligned, two
/// spaces apart.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain([heading[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (at, (cell, &width)) in cells.zip(&widths).enumerate() {
            if at == 0 {
                let _ = write!(line, "{cell:<width$}");
            } else {
                let _ = write!(line, "  {cell:>width$}");
            }
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = line(&mut heading.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, grouped, millis, wrapped};

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let values = [0.1234, 12.345, 123.45].map(|value| millis(Some(value)));
        assert_eq!(values, ["0.12", "12.3", "123"]);
        assert_eq!(millis(None), "-");
    }

    #[test]
    fn long_text_breaks_at_spaces() {
        let text = wrapped(WIDTH, "", &"word ".repeat(40), 2);
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        assert_eq!(text.split_whitespace().count(), 40);
        assert!(text.lines().skip(1).all(|line| line.starts_with("  word")));
        assert_eq!(wrapped(WIDTH, "- ", "short", 2), "- short\n");
        let longest = |width| {
            let text = wrapped(width, "", &"word ".repeat(40), 2);
            text.lines().map(str::len).max()
        };
        assert_eq!([0, 40, 90, 200].map(longest), [39, 39, 89, 99].map(Some));
    }

    #[test]
    fn a_number_keeps_its_unit() {
        for unit in ["ms", "%", "ms,", "%;", "s)"] {
            let text =
                wrapped(WIDTH, "", &format!("{} 12.5 {unit} later", "x".repeat(WIDTH - 5)), 2);
            assert_eq!(text.lines().nth(1), Some(&*format!("  12.5 {unit} later")));
        }
        let word = wrapped(WIDTH, "", &format!("{} 12 streams", "x".repeat(WIDTH - 3)), 0);
        assert!(word.ends_with("12\nstreams\n"), "{word}");
    }
}
