use super::{Entries, Entry, LABELS_MAX, LINE_BYTES_MAX, PAGE_BYTES_MAX};

/// Each sample as `name|label=value|… value@timestamp`, and the number of bad lines.
fn check(page: &str, expect: &[&str], bad_lines: u64) {
    let mut entries = Entries::new(page.as_bytes()).unwrap();
    let samples: Vec<String> = entries
        .by_ref()
        .filter_map(|entry| match entry {
            Entry::Sample(sample) => {
                let labels = sample.labels.iter().map(|(name, value)| format!("|{name}={value}"));
                let at = sample.timestamp.map(|at| format!("@{at}")).unwrap_or_default();
                let labels: String = labels.collect();
                Some(format!("{}{labels} {}{at}", sample.name, sample.value))
            }
            Entry::Type { .. } | Entry::Help { .. } => None,
        })
        .collect();
    assert_eq!(samples, expect, "{page:?}");
    assert_eq!(entries.bad_lines(), bad_lines, "{page:?}");
}

#[test]
fn names_labels_and_values_are_read() {
    check("a 1\n", &["a 1"], 0);
    check("a{} 1", &["a 1"], 0);
    check(
        "vllm:x_total{engine=\"0\",b=\"c\"} 1.5e+09",
        &["vllm:x_total|engine=0|b=c 1500000000"],
        0,
    );
    check("a { b = \"c\" , } 2 \n", &["a|b=c 2"], 0);
    check("\ta{b=\"\"}\t-3", &["a|b= -3"], 0);
}

#[test]
fn numbers_that_are_none_are_values_too() {
    check(
        "a NaN\nb +Inf\nc -Inf\nd inf\ne nan",
        &["a NaN", "b inf", "c -inf", "d inf", "e NaN"],
        0,
    );
}

#[test]
fn escapes_in_label_values_are_taken_back() {
    check(r#"a{b="x\"y\\z\nw"} 1"#, &["a|b=x\"y\\z\nw 1"], 0);
    check(r#"a{b="},{\q#="} 1"#, &["a|b=},{\\q#= 1"], 0);
}

#[test]
fn lines_may_end_with_a_carriage_return() {
    check("# TYPE a counter\r\na 1\r\n\r\nb 2\r\n", &["a 1", "b 2"], 0);
}

#[test]
fn timestamps_and_exemplars_belong_to_no_value() {
    check("a 1 1700000000000\nb 2 1.7e9", &["a 1@1700000000000", "b 2@1700000000"], 0);
    check("a_bucket{le=\"1\"} 3 # {trace_id=\"x\"} 0.5 1.7e9", &["a_bucket|le=1 3"], 0);
}

#[test]
fn names_may_stand_in_quotes() {
    check("{\"my.metric\",a=\"b\"} 1\n{\"m\"} 2", &["my.metric|a=b 1", "m 2"], 0);
    check("a{\"my.label\"=\"b\"} 1", &["a|my.label=b 1"], 0);
}

#[test]
fn nothing_follows_the_end_mark() {
    check("a 1\n# EOF\nb 2\n", &["a 1"], 0);
}

#[test]
fn a_bad_line_is_counted_and_skipped() {
    for bad in [
        "a",
        "a{",
        "a{b",
        "a{b=",
        "a{b=c} 1",
        "a{b=\"c} 1",
        "a{b=\"c\" d=\"e\"} 1",
        "a x",
        "a 1 x",
        "a 1 2 3",
        "1a 2",
        "{} 1",
        "{a=\"b\"} 1",
        "=\"\" 1",
        "a{\"b\"} 1",
        "<html>",
        "a 1_000",
    ] {
        check(&format!("x 1\n{bad}\ny 2\n"), &["x 1", "y 2"], 1);
    }
    let mut page = b"x 1\na{b=\"\xff\"} 2\n".to_vec();
    page.extend(b"y 2");
    let mut entries = Entries::new(&page).unwrap();
    assert_eq!((entries.by_ref().count(), entries.bad_lines()), (2, 1));
}

#[test]
fn lines_labels_and_pages_have_limits() {
    let long = format!("a{{b=\"{}\"}} 1\n", "x".repeat(LINE_BYTES_MAX));
    check(&format!("{long}c 1"), &["c 1"], 1);
    let label = |at: usize| format!("l{at}=\"\"");
    let labels = |count: usize| (0..count).map(label).collect::<Vec<_>>().join(",");
    check(&format!("a{{{}}} 1", labels(LABELS_MAX + 1)), &[], 1);
    let page = format!("a{{{}}} 1", labels(LABELS_MAX));
    assert_eq!(Entries::new(page.as_bytes()).unwrap().count(), 1);
    assert!(Entries::new(&vec![b'\n'; PAGE_BYTES_MAX + 1]).is_err());
}

#[test]
fn families_say_their_kind_and_what_they_are() {
    let page = "# HELP a What it is, with \\n.\n# TYPE a counter\n# UNIT a s\n#\n# a comment\n\
                # TYPE \"b.c\" gauge\n";
    let entries: Vec<_> = Entries::new(page.as_bytes()).unwrap().collect();
    assert_eq!(
        entries,
        [
            Entry::Help { name: "a".into(), text: "What it is, with \\n." },
            Entry::Type { name: "a".into(), kind: "counter" },
            Entry::Type { name: "b.c".into(), kind: "gauge" },
        ]
    );
}

mod properties {
    use proptest::prelude::*;

    use super::super::{Entries, Entry};
    use crate::series::{SeriesName, push_sample_key};

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(page in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut entries = Entries::new(&page).unwrap();
            let lines = page.split(|byte| *byte == b'\n').count() as u64;
            let count = entries.by_ref().count() as u64;
            prop_assert!(count + entries.bad_lines() <= lines);
        }

        #[test]
        fn text_that_looks_like_metrics_does_not_either(
            page in "([a-z:_]{0,3}[{]?([a-z]?=?\"?[\\\\n,\" ]?){0,6}[}]? ?[0-9NaInf+.e-]{0,4} ?#?\n){0,20}",
        ) {
            let mut entries = Entries::new(page.as_bytes()).unwrap();
            let count = entries.by_ref().count() as u64;
            prop_assert!(count + entries.bad_lines() <= 21);
        }

        #[test]
        fn a_series_is_read_as_it_is_written(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,12}|\\PC{1,8}",
            labels in proptest::collection::btree_map("[a-zA-Z_][a-zA-Z0-9_]{0,6}|\\PC{1,5}", "(\\PC|\n){0,10}", 0..5),
            value in any::<f64>(),
        ) {
            let labels: Vec<_> = labels.into_iter().collect();
            let series = SeriesName::new(&name, labels);
            let page = format!("{} {value}\n", series.key());
            let entries: Vec<_> = Entries::new(page.as_bytes()).unwrap().collect();
            let [Entry::Sample(sample)] = &entries[..] else {
                return Err(TestCaseError::fail(format!("{entries:?} from {page:?}")));
            };
            let mut key = String::new();
            push_sample_key(&mut key, &mut sample.clone());
            prop_assert_eq!(&key, &series.key());
            prop_assert!(sample.value == value || value.is_nan());
            prop_assert_eq!(SeriesName::parse(&series.key()), Some(series));
        }
    }
}
