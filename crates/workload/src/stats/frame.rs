/// A table of numbers as pandas prints it: row names left, each column right-aligned with six
/// decimals at most.
pub(super) struct Frame {
    row_names: Vec<String>,
    columns: Vec<(&'static str, Vec<f64>)>,
}

/// Describes each series of numbers in one row: count, mean, standard deviation (n - 1; NaN for one
/// number), minimum, percentiles (linear interpolation), maximum.
pub(super) fn describe(series: &[(&str, &[f64])]) -> Frame {
    const PERCENTILES: [(&str, f64); 5] =
        [("25%", 0.25), ("50%", 0.5), ("75%", 0.75), ("90%", 0.9), ("99%", 0.99)];
    let sorted: Vec<Vec<f64>> = series
        .iter()
        .map(|(_, values)| {
            let mut values = values.to_vec();
            values.sort_by(f64::total_cmp);
            values
        })
        .collect();
    let column = |name, of: &dyn Fn(&[f64]) -> f64| {
        (name, sorted.iter().map(|values| of(values)).collect::<Vec<_>>())
    };
    let mut columns = vec![
        column("count", &|values| values.len() as f64),
        column("mean", &mean),
        column("std", &deviation),
        column("min", &|values| values.first().copied().unwrap_or(f64::NAN)),
    ];
    for (name, fraction) in PERCENTILES {
        columns.push(column(name, &|values| percentile(values, fraction)));
    }
    columns.push(column("max", &|values| values.last().copied().unwrap_or(f64::NAN)));
    Frame { row_names: series.iter().map(|(name, _)| (*name).to_owned()).collect(), columns }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

fn percentile(sorted: &[f64], fraction: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = last as f64 * fraction;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

impl Frame {
    /// The table's lines without a newline at the end. Where it is wider than `width`, columns in
    /// the middle give way to `...` and a line tells the table's size.
    pub(super) fn render(&self, width: Option<usize>) -> String {
        let index_width = self.row_names.iter().map(String::len).max().unwrap_or(0);
        let mut columns: Vec<Vec<String>> = self.columns.iter().map(cells).collect();
        let widths: Vec<usize> = columns.iter().map(|cells| cells[0].len()).collect();
        let fitting = width.map(|width| fitting_columns(index_width, &widths, width));
        let size_line = match fitting.filter(|&fitting| fitting < columns.len()) {
            None => String::new(),
            Some(fitting) => {
                let dots = vec![" ...".to_owned(); self.row_names.len() + 1];
                let half = fitting / 2;
                let right = columns.split_off(columns.len() - half);
                columns.truncate(half);
                columns.push(dots);
                columns.extend(right);
                let (rows, all) = (self.row_names.len(), self.columns.len());
                format!("\n\n[{rows} rows x {all} columns]")
            }
        };
        let names = std::iter::once("").chain(self.row_names.iter().map(String::as_str));
        let lines: Vec<String> = names
            .enumerate()
            .map(|(line, name)| {
                let cells = columns.iter().map(|cells| format!(" {}", cells[line]));
                format!("{name:index_width$}{}", cells.collect::<String>())
            })
            .collect();
        lines.join("\n") + &size_line
    }
}

/// The heading and the numbers of a column, all as wide as the widest, with a space before them.
fn cells((name, values): &(&'static str, Vec<f64>)) -> Vec<String> {
    let texts: Vec<String> = values.iter().map(|value| format!("{value:.6}")).collect();
    let is_number = |text: &&String| text.contains('.');
    let zeros = |text: &String| text.len() - text.trim_end_matches('0').len();
    // As many zeros as all numbers end in are cut, but one decimal stays.
    let cut = texts.iter().filter(is_number).map(zeros).min().unwrap_or(0).min(5);
    let texts: Vec<String> = texts
        .into_iter()
        .map(|text| match text.as_str() {
            number if number.contains('.') => number[..number.len() - cut].to_owned(),
            _ => text,
        })
        .collect();
    let width = texts.iter().map(String::len).chain([name.len()]).max().unwrap_or(0);
    let names = std::iter::once((*name).to_owned());
    names.chain(texts).map(|text| format!(" {text:>width$}")).collect()
}

/// How many columns pandas shows in a terminal: it drops the middle one until the rest fits, and
/// two at least stay. The rule is inferred from recorded tables.
fn fitting_columns(index_width: usize, widths: &[usize], width: usize) -> usize {
    let mut widths: Vec<usize> =
        std::iter::once(index_width).chain(widths.iter().copied()).collect();
    let total = widths.iter().sum::<usize>() + widths.len() - 1;
    let mut excess = total as i64 - width as i64;
    if excess <= 0 {
        return widths.len() - 1;
    }
    excess += 1;
    while excess > 0 && widths.len() > 1 {
        // Half of an odd count rounds to the even neighbour, as in Python.
        let middle = (widths.len() as f64 / 2.0).round_ties_even() as usize;
        excess -= widths.remove(middle.min(widths.len() - 1)) as i64;
    }
    (widths.len() - 1).max(2)
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn one_number_has_no_deviation() {
        let table = describe(&[("x", &[2.0])]).render(None);
        assert_eq!(
            table,
            "   count  mean  std  min  25%  50%  75%  90%  99%  max\n\
             x    1.0   2.0  NaN  2.0  2.0  2.0  2.0  2.0  2.0  2.0"
        );
    }

    #[test]
    fn percentiles_are_interpolated() {
        let table = describe(&[("x", &[4.0, 1.0, 2.5])]).render(None);
        assert_eq!(
            table,
            "   count  mean  std  min   25%  50%   75%  90%   99%  max\n\
             x    3.0   2.5  1.5  1.0  1.75  2.5  3.25  3.7  3.97  4.0"
        );
    }
}
