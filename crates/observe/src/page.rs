use turnbench_model::{FigureKind, MetricsPage};

use crate::dialect;
use crate::series::SeriesName;
use crate::text::{Entries, Entry, PageTooLong};

/// Most series of a page that are kept. vLLM 0.32 shows 600 for an engine.
pub const SERIES_MAX: usize = 100_000;

/// Reads a page of metrics. Of a series that is there twice the last value counts; what is over
/// [`SERIES_MAX`] series is counted and left out.
///
/// # Errors
/// When it is longer than [`crate::text::PAGE_BYTES_MAX`].
pub fn page(body: &[u8]) -> Result<MetricsPage, PageTooLong> {
    let mut page = MetricsPage::default();
    let mut entries = Entries::new(body)?;
    for entry in entries.by_ref() {
        let Entry::Sample(sample) = entry else { continue };
        let key = SeriesName::of(&sample).key();
        if page.series.len() < SERIES_MAX || page.series.contains_key(key.as_str()) {
            page.series.insert(key.into(), sample.value);
        } else {
            page.left_out += 1;
        }
    }
    page.bad_lines = entries.bad_lines();
    Ok(page)
}

/// Whether everything that counts up stands the same on both pages: nothing happened in between.
pub fn counts_alike(one: &MetricsPage, other: &MetricsPage) -> bool {
    let counts = |page: &MetricsPage| -> Vec<u64> {
        let known = page.series.iter().filter(|(key, _)| {
            let name = key.split('{').next().unwrap_or_default();
            dialect::rules(name)
                .any(|found| found.rule.figure.definition().kind != FigureKind::Gauge)
        });
        known.map(|(_, value)| value.to_bits()).collect()
    };
    counts(one) == counts(other)
}

#[cfg(test)]
mod tests {
    use super::{SERIES_MAX, counts_alike, page};

    #[test]
    fn of_a_series_that_is_there_twice_the_last_value_counts() {
        let page = page(b"a{b=\"1\",c=\"2\"} 1\nnonsense\na{c=\"2\",b=\"1\"} 2\n").unwrap();
        let series: Vec<_> = page.series.iter().map(|(key, value)| (&**key, *value)).collect();
        assert_eq!(series, [("a{b=\"1\",c=\"2\"}", 2.0)]);
        assert_eq!((page.bad_lines, page.left_out), (1, 0));
    }

    #[test]
    fn a_page_keeps_so_many_series_and_no_more() {
        let lines = (0..SERIES_MAX + 5).map(|at| format!("a{{b=\"{at}\"}} 1\n"));
        let page = page(lines.collect::<String>().as_bytes()).unwrap();
        assert_eq!((page.series.len(), page.left_out), (SERIES_MAX, 5));
    }

    #[test]
    fn only_what_counts_up_tells_whether_something_happened() {
        let read = |text: &str| page(text.as_bytes()).unwrap();
        let base = read("vllm:prompt_tokens_total 5\nvllm:num_requests_running 3\npython_x 1\n");
        let quiet = read("vllm:prompt_tokens_total 5\nvllm:num_requests_running 0\npython_x 2\n");
        let busy = read("vllm:prompt_tokens_total 6\nvllm:num_requests_running 3\npython_x 1\n");
        assert!(counts_alike(&base, &quiet));
        assert!(!counts_alike(&base, &busy));
    }
}
