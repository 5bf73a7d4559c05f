use turnbench_model::{FigureKind, MetricsPage};

use crate::dialect;
use crate::series::push_sample_key;
use crate::text::{Entries, Entry, PageTooLong};

/// Most series of a page that are kept. vLLM 0.32 shows 750 for an engine, 95 bytes each, so that this
/// is a page of 24 MB.
pub const SERIES_MAX: usize = 250_000;

/// Reads a page of metrics. Of a series that is there twice the last value counts; what is over
/// [`SERIES_MAX`] series is counted and left out.
///
/// # Errors
/// When it is longer than [`crate::text::PAGE_BYTES_MAX`].
pub fn page(body: &[u8]) -> Result<MetricsPage, PageTooLong> {
    let mut page = MetricsPage::default();
    let mut entries = Entries::new(body)?;
    let mut key = String::with_capacity(256);
    for entry in entries.by_ref() {
        let Entry::Sample(mut sample) = entry else { continue };
        key.clear();
        push_sample_key(&mut key, &mut sample);
        if let Some(value) = page.series.get_mut(key.as_str()) {
            *value = sample.value;
        } else if page.series.len() < SERIES_MAX {
            page.series.insert(key.as_str().into(), sample.value);
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
