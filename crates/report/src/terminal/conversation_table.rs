use turnbench_metrics::Describe;

use super::frame::Frame;

/// Decimals, as pandas shows them.
const DIGITS: usize = 6;
/// Percentiles, whatever the number of conversations.
const PERCENTS: [f64; 7] = [25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99];

/// The table of the reference's converter: a row for each column of numbers, described over all
/// conversations. `None` counts in nothing. Ends with a line feed.
pub fn conversation_table_text(columns: &[(&str, Vec<Option<f64>>)]) -> String {
    let describe = |(name, values): &(&'_ str, Vec<Option<f64>>)| {
        ((*name).to_owned(), Describe::of(values, &PERCENTS))
    };
    let described: Vec<(String, Describe)> = columns.iter().map(describe).collect();
    let rows: Vec<(&str, &Describe)> =
        described.iter().map(|(name, describe)| (name.as_str(), describe)).collect();
    Frame::of(&rows).render(DIGITS) + "\n"
}

#[cfg(test)]
mod tests {
    use super::conversation_table_text;

    #[test]
    fn one_conversation_has_no_deviation() {
        let text = conversation_table_text(&[("user_turns", vec![Some(1.0)])]);
        assert_eq!(
            text,
            "            count  mean  std  min  25%  50%  75%  90%  99%  99.9%  99.99%  max\n\
             user_turns    1.0   1.0  NaN  1.0  1.0  1.0  1.0  1.0  1.0    1.0     1.0  1.0\n"
        );
    }
}
