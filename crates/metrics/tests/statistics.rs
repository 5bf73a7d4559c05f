//! Descriptions and summaries against recorded results and against slow obvious code.
#![allow(clippy::expect_used, reason = "a test that cannot go on should panic")]

mod support;

use proptest::prelude::{Strategy, prop, prop_assert, proptest};
use serde_json::Value;
use support::{blank_row, case_rows, cases};
use turnbench_metrics::{
    Describe, PercentileInterval, RequestRow, SummaryOptions, order_rows, percents_for, quantile,
    summarize,
};

fn cells(describe: &Describe) -> Vec<Option<f64>> {
    let head = [Some(describe.count as f64), describe.mean, describe.std, describe.min];
    let percentiles = describe.percentiles.iter().map(|percentile| percentile.value);
    head.into_iter().chain(percentiles).chain([describe.max]).collect()
}

#[test]
fn descriptions_equal_the_recorded_ones_to_the_last_bit() {
    let mut checked = 0;
    for case in cases() {
        let Some(expect) = case.get("describe_all") else { continue };
        let options = SummaryOptions {
            warmup_fractions: vec![0.0],
            warmup_runtime_sec: None,
            between_turns: expect["rows"].get("time_between_user_turns_sec").is_some(),
        };
        let summary = summarize(&case_rows(&case), &options).remove(0);
        for metric in &summary.table {
            let Some(recorded) = expect["rows"].get(&metric.id) else { continue };
            let recorded: Vec<Option<f64>> =
                recorded.as_array().unwrap().iter().map(Value::as_f64).collect();
            assert_eq!(cells(&metric.describe), recorded, "{} {}", case["name"], metric.id);
            checked += 1;
        }
    }
    assert!(checked >= 7 * 10, "{checked}");
}

#[test]
fn runtime_and_rate_equal_the_recorded_ones() {
    for case in cases().iter().filter(|case| case.get("xlsx").is_some()) {
        let fractions = case["warmup_fractions"].as_array().unwrap();
        let options = SummaryOptions {
            warmup_fractions: fractions.iter().filter_map(Value::as_f64).collect(),
            warmup_runtime_sec: case["warmup_runtime_sec"].as_f64(),
            between_turns: false,
        };
        let rows = case["xlsx"]["Summary"]["rows"].as_array().unwrap();
        let recorded: Vec<&Value> = rows
            .windows(2)
            .filter(|pair| pair[0][0] == "runtime_sec")
            .map(|pair| &pair[1])
            .collect();
        let summaries = summarize(&case_rows(case), &options);
        assert_eq!(summaries.len(), recorded.len());
        for (summary, recorded) in summaries.iter().zip(recorded) {
            let values = [
                Some(summary.runtime_sec),
                summary.requests_per_sec,
                summary.warmup_runtime_sec,
                summary.total_runtime_incl_warmup_sec,
            ];
            for (value, recorded) in values.iter().zip(recorded.as_array().unwrap()) {
                match (value, recorded.as_f64()) {
                    (Some(value), Some(recorded)) => {
                        assert!((value - recorded).abs() <= recorded.abs() * 1e-15);
                    }
                    (value, recorded) => assert_eq!(*value, recorded),
                }
            }
        }
    }
}

#[test]
fn no_request_gives_no_summary() {
    let options = SummaryOptions { warmup_fractions: vec![0.0, 0.5], ..SummaryOptions::default() };
    assert!(summarize(&[], &options).is_empty());
}

#[test]
fn a_run_without_duration_has_no_rate() {
    let options = SummaryOptions { warmup_fractions: vec![0.0], ..SummaryOptions::default() };
    assert_eq!(summarize(&[blank_row()], &options)[0].requests_per_sec, None);
}

#[test]
fn time_between_turns_is_start_to_start_within_a_conversation() {
    let row = |id: &str, start_time_ms: f64| RequestRow {
        conversation_id: id.into(),
        start_time_ms,
        ..blank_row()
    };
    let rows = [row("a", 2000.0), row("b", 500.0), row("a", 1000.0), row("b", 4500.0)];
    let between: Vec<_> =
        order_rows(&rows).iter().map(|row| row.time_between_user_turns_sec).collect();
    assert_eq!(between, [None, None, Some(1.0), Some(4.0)]);
}

#[test]
fn percentiles_appear_with_the_samples_that_carry_them() {
    assert_eq!(percents_for(99).last(), Some(&90.0));
    assert_eq!(percents_for(100).last(), Some(&99.0));
    assert_eq!(percents_for(1_000).last(), Some(&99.9));
    assert_eq!(percents_for(10_000).last(), Some(&99.99));
}

#[test]
fn missing_values_count_in_nothing() {
    let some = Describe::of(&[Some(1.0), None, Some(f64::NAN), Some(3.0)], &[50.0]);
    assert_eq!(some, Describe::of_all(&[1.0, 3.0], &[50.0]));
    let none = Describe::of(&[None], &[50.0]);
    assert_eq!((none.count, none.mean, none.min, none.percentile(50.0)), (0, None, None, None));
    assert_eq!(Describe::of_all(&[7.0], &[]).std, None);
}

fn samples() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1e6..1e6f64, 1..400)
}

proptest! {
    #[test]
    fn quantiles_agree_with_their_definition(mut values in samples(), fraction in 0.0..=1.0f64) {
        values.sort_by(f64::total_cmp);
        let position = (values.len() - 1) as f64 * fraction;
        let below = position as usize;
        let above = (below + 1).min(values.len() - 1);
        let expect = values[below] + (values[above] - values[below]) * (position - below as f64);
        let found = quantile(&values, fraction).unwrap();
        prop_assert!((found - expect).abs() <= 1e-9 * expect.abs().max(1.0));
        prop_assert!(found >= values[below] && found <= values[above]);
    }

    #[test]
    fn descriptions_agree_with_naive_sums(values in samples()) {
        let describe = Describe::of_all(&values, &percents_for(values.len()));
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        prop_assert!((describe.mean.unwrap() - mean).abs() < 1e-6);
        if values.len() > 1 {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let std = (squares / (values.len() - 1) as f64).sqrt();
            prop_assert!((describe.std.unwrap() - std).abs() < 1e-6 * std.max(1.0));
        }
        let ladder = cells(&describe);
        prop_assert!(ladder[3..].windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn an_interval_holds_its_estimate(mut values in samples(), percent in 1.0..99.0f64) {
        values.sort_by(f64::total_cmp);
        let interval = PercentileInterval::of(&values, percent);
        let value = interval.value.unwrap();
        prop_assert!(interval.low.is_none_or(|low| low <= value));
        prop_assert!(interval.high.is_none_or(|high| high >= value));
    }
}
