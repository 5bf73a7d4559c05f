use super::statistics::Spread;
use super::table::Table;

/// One client's figures, run by run.
#[derive(Clone, Debug)]
pub(crate) struct Runs<T> {
    pub(crate) name: String,
    /// How many there should be.
    pub(crate) wanted: u32,
    pub(crate) figures: Vec<T>,
    /// Why there are no more, or what else went wrong.
    pub(crate) failure: Option<String>,
    /// The command line of the first run.
    pub(crate) command: Option<String>,
}

impl<T> Runs<T> {
    pub(crate) fn new(name: &str, wanted: u32) -> Self {
        let (name, figures) = (name.to_owned(), Vec::new());
        Self { name, wanted, figures, failure: None, command: None }
    }

    pub(crate) fn spread(&self, figure: impl Fn(&T) -> f64) -> Option<Spread> {
        Spread::of(&self.figures.iter().map(figure).collect::<Vec<_>>())
    }

    /// A cell of a table.
    pub(crate) fn shown(&self, figure: impl Fn(&T) -> f64, digits: usize) -> String {
        Spread::shown_or_dash(self.spread(figure), digits)
    }

    pub(crate) fn median(&self, figure: impl Fn(&T) -> f64) -> Option<f64> {
        self.spread(figure).map(|spread| spread.median)
    }

    /// Why runs are missing, if some are.
    pub(crate) fn note(&self) -> Option<String> {
        let next = self.figures.len() + 1;
        match &self.failure {
            Some(failure) => Some(failure.clone()),
            None if next <= self.wanted as usize => Some(format!("stopped before run {next}")),
            None => None,
        }
    }
}

/// What several clients did in turns.
#[derive(Clone, Debug)]
pub(crate) struct Results<T> {
    pub(crate) rows: Vec<Runs<T>>,
    /// The source's command line.
    pub(crate) source: Option<String>,
}

impl<T> Results<T> {
    pub(crate) fn row(&self, name: &str) -> Option<&Runs<T>> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Round by round, how often a client's figure contains another's.
    pub(crate) fn ratio(
        &self,
        row: &Runs<T>,
        other: &str,
        figure: impl Fn(&T) -> f64,
    ) -> Option<Spread> {
        let pairs = row.figures.iter().zip(&self.row(other)?.figures);
        Spread::of(&pairs.map(|(own, other)| figure(own) / figure(other)).collect::<Vec<_>>())
    }

    /// A row for each client: its name, what `cells` makes of it, how often it ran, and where runs are
    /// missing why.
    pub(crate) fn table(&self, head: &[&str], cells: impl Fn(&Runs<T>) -> Vec<String>) -> Table {
        let notes: Vec<Option<String>> = self.rows.iter().map(Runs::note).collect();
        let mut head = [&["client"], head, &["runs"]].concat();
        if notes.iter().any(Option::is_some) {
            head.push("note");
        }
        let mut table = Table::new(&head);
        for (row, note) in self.rows.iter().zip(notes) {
            let mut line = vec![row.name.clone()];
            line.extend(cells(row));
            line.extend([row.figures.len().to_string(), note.unwrap_or_default()]);
            table.row(line);
        }
        table
    }

    /// The command lines, the source's first, as a block of code.
    pub(crate) fn commands(&self) -> String {
        let clients = self.rows.iter().filter_map(|row| row.command.as_ref());
        let lines: Vec<String> = self.source.iter().chain(clients).cloned().collect();
        if lines.is_empty() { String::new() } else { format!("```\n{}\n```\n", lines.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Results, Runs};

    fn runs(name: &str, figures: &[f64], failure: Option<&str>) -> Runs<f64> {
        Runs {
            figures: figures.to_vec(),
            failure: failure.map(str::to_owned),
            command: Some(format!("{name} --url URL")),
            ..Runs::new(name, 2)
        }
    }

    fn results(rows: Vec<Runs<f64>>) -> Results<f64> {
        Results { rows, source: Some("turnbench serve".to_owned()) }
    }

    fn text(results: &Results<f64>) -> String {
        results.table(&["s"], |row| vec![row.shown(|&figure| figure, 1)]).text()
    }

    #[test]
    fn a_row_says_why_runs_are_missing() {
        let whole = results(vec![runs("a", &[1.0, 2.0], None)]);
        assert!(!text(&whole).contains("note"), "{}", text(&whole));
        let failed = results(vec![
            runs("a", &[1.0, 2.0], None),
            runs("b", &[3.0], Some("run 2 failed: exit code 1: no")),
            runs("c", &[], Some("run 1 failed: cannot start c")),
        ]);
        let text = text(&failed);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert!(lines[0].contains("| runs | note"), "{text}");
        assert!(lines[2].starts_with("| a      | 1.5 (1.0 to 2.0) | 2    |  "), "{text}");
        assert!(lines[3].contains("| 3.0              | 1    | run 2 failed: exit code 1: no |"));
        assert!(lines[4].contains("| -                | 0    | run 1 failed: cannot start c"));
    }

    #[test]
    fn command_lines_stand_below_the_source_s() {
        let results = results(vec![runs("a", &[], None), runs("b", &[], None)]);
        assert_eq!(results.commands(), "```\nturnbench serve\na --url URL\nb --url URL\n```\n");
    }

    #[test]
    fn ratios_are_made_round_by_round() {
        let results = results(vec![runs("a", &[1.0, 4.0], None), runs("b", &[2.0], None)]);
        let ratio = |row: usize, other| results.ratio(&results.rows[row], other, |&figure| figure);
        assert_eq!(ratio(1, "a").map(|spread| spread.median), Some(2.0));
        assert_eq!(ratio(0, "b").map(|spread| spread.most), Some(0.5));
        assert_eq!(ratio(0, "c"), None);
    }
}
