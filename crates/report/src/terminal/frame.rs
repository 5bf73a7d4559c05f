use turnbench_metrics::Describe;

/// A table of descriptions as the reference prints it (a pandas data frame of numbers).
///
/// Row names stand at the left; columns are right-aligned and two spaces apart. Numbers have a
/// fixed number of decimals, of which trailing zeros that a whole column shares are cut down to
/// one. A column with a number too small to show, or above a million and long, is all in
/// exponent form. Missing numbers are `NaN`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Frame {
    /// Headings.
    pub(crate) columns: Vec<String>,
    /// Row names with their cells, one for each column.
    pub(crate) rows: Vec<(String, Vec<Option<f64>>)>,
}

impl Frame {
    /// One row for each description; the percentiles of the first are the columns of all.
    pub(crate) fn of(rows: &[(&str, &Describe)]) -> Self {
        let percentiles = rows.first().map(|(_, first)| first.percentiles.as_slice());
        let percents = percentiles.unwrap_or_default().iter().map(|found| found.percent);
        let columns = ["count", "mean", "std", "min"]
            .into_iter()
            .map(str::to_owned)
            .chain(percents.map(|percent| format!("{percent}%")))
            .chain(["max".to_owned()])
            .collect();
        let rows = rows.iter().map(|(name, describe)| ((*name).to_owned(), cells(describe)));
        Self { columns, rows: rows.collect() }
    }

    /// The text, lines joined by line feeds, without one at the end. As wide as it needs to be.
    pub(crate) fn render(&self, digits: usize) -> String {
        let columns: Vec<Column> =
            (0..self.columns.len()).map(|at| self.column(at, digits)).collect();
        let names = self.rows.iter().map(|(name, _)| name.clone());
        let names = Column::left(&std::iter::once(String::new()).chain(names).collect::<Vec<_>>());
        let line = |row: usize| {
            let cells = columns.iter().map(|column| column.cells[row].as_str());
            let cells = std::iter::once(names.cells[row].as_str()).chain(cells);
            cells.collect::<Vec<_>>().join(" ")
        };
        (0..names.cells.len()).map(line).collect::<Vec<_>>().join("\n")
    }

    fn column(&self, at: usize, digits: usize) -> Column {
        let values: Vec<Option<f64>> = self.rows.iter().map(|(_, cells)| cells[at]).collect();
        let mut cells = vec![self.columns[at].clone()];
        cells.extend(format_column(&values, digits));
        Column::right(&cells)
    }
}

/// The cells of a description, in the order of the columns.
fn cells(describe: &Describe) -> Vec<Option<f64>> {
    let head = [Some(describe.count as f64), describe.mean, describe.std, describe.min];
    let percentiles = describe.percentiles.iter().map(|found| found.value);
    head.into_iter().chain(percentiles).chain([describe.max]).collect()
}

/// A column's cells, the heading first, all equally wide.
#[derive(Clone, Debug)]
struct Column {
    cells: Vec<String>,
}

impl Column {
    fn left(cells: &[String]) -> Self {
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        let cells = cells.iter().map(|cell| format!("{cell:<width$}")).collect();
        Self { cells }
    }

    /// Every cell has a space before it, which a minus sign may take.
    fn right(cells: &[String]) -> Self {
        let one = |cell: &String| cell.len() + usize::from(!cell.starts_with('-'));
        let width = cells.iter().map(one).max().unwrap_or(0);
        let cells = cells.iter().map(|cell| format!("{cell:>width$}")).collect();
        Self { cells }
    }
}

/// The numbers of one column, all in the same form.
fn format_column(values: &[Option<f64>], digits: usize) -> Vec<String> {
    let format = |one: &dyn Fn(f64) -> String| -> Vec<String> {
        values.iter().map(|value| value.map_or_else(|| "NaN".to_owned(), one)).collect()
    };
    let fixed = trim_shared_zeros(format(&|value| format!("{value:.digits$}")));
    let smallest = 10f64.powi(-(digits as i32));
    let small = values.iter().flatten().any(|value| *value != 0.0 && value.abs() < smallest);
    let large = values.iter().flatten().any(|value| value.abs() > 1e6);
    // The space for a sign counts.
    let long =
        fixed.iter().any(|cell| cell.len() + usize::from(!cell.starts_with('-')) > digits + 6);
    if small || (large && long) { format(&|value| exponent_form(value, digits)) } else { fixed }
}

/// Cuts trailing zeros while every number ends in one; one decimal stays.
fn trim_shared_zeros(mut cells: Vec<String>) -> Vec<String> {
    let is_number = |cell: &str| cell.contains('.');
    let all_end_in_zero = |cells: &[String]| {
        let mut numbers = cells.iter().filter(|cell| is_number(cell)).peekable();
        numbers.peek().is_some() && numbers.all(|cell| cell.ends_with('0'))
    };
    while all_end_in_zero(&cells) {
        for cell in cells.iter_mut().filter(|cell| is_number(cell)) {
            cell.pop();
        }
    }
    for cell in cells.iter_mut().filter(|cell| cell.ends_with('.')) {
        cell.push('0');
    }
    cells
}

/// As C's `%.{digits}e`: the exponent has a sign and at least two digits.
fn exponent_form(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, size) = match exponent.strip_prefix('-') {
        Some(size) => ('-', size),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{size:0>2}")
}

#[cfg(test)]
mod tests {
    use super::format_column;

    fn check(values: &[f64], digits: usize, expect: &[&str]) {
        let values: Vec<_> = values.iter().copied().map(Some).collect();
        assert_eq!(format_column(&values, digits), expect);
    }

    #[test]
    fn zeros_that_all_share_are_cut_down_to_one() {
        check(&[7.0, 7.0], 2, &["7.0", "7.0"]);
        check(&[1.5, 2.0], 2, &["1.50", "2.00"].map(|cell| &cell[..3]));
        check(&[1.25, 2.0], 2, &["1.25", "2.00"]);
        check(&[4.666_667, 6.0], 6, &["4.666667", "6.000000"]);
    }

    #[test]
    fn a_number_too_small_to_show_puts_its_column_in_exponent_form() {
        check(
            &[0.1, 0.006_91, 36.2, 1.0, 4.0, 11.0, 5.0],
            2,
            &["1.00e-01", "6.91e-03", "3.62e+01", "1.00e+00", "4.00e+00", "1.10e+01", "5.00e+00"],
        );
        check(&[0.0, 0.01], 2, &["0.00", "0.01"]);
    }

    #[test]
    fn large_numbers_turn_to_exponent_form_when_long() {
        check(&[1_000_001.0, 2.0], 2, &["1.00e+06", "2.00e+00"]);
        check(&[1_000_000.0, 2.0], 2, &["1000000.0", "2.0"]);
        check(&[2_000_000.0, 2.0], 6, &["2000000.0", "2.0"]);
    }

    #[test]
    fn missing_numbers_are_nan() {
        assert_eq!(format_column(&[None, Some(1.0)], 2), ["NaN", "1.0"]);
        assert_eq!(format_column(&[None, None], 2), ["NaN", "NaN"]);
    }
}
