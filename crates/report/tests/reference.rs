//! The reference-compatible text against recorded output, byte for byte.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../../metrics/tests/support/mod.rs"]
mod support;

use std::path::Path;

use serde_json::Value;
use support::{case_rows, cases};
use turnbench_metrics::{Summary, SummaryOptions, summarize};
use turnbench_model::ConversationStats;
use turnbench_report::{
    Parameters, ReferenceStyle, conversations_text, generator_text, statistics_text,
};

fn recorded(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/statistics/stdout");
    std::fs::read_to_string(Path::new(folder).join(name)).unwrap()
}

fn parameters(case: &Value) -> Parameters {
    let params = &case["params"];
    let count = |name: &str| params[name].as_u64().map(|count| count as u32);
    Parameters {
        model: params["model"].as_str().unwrap().to_owned(),
        num_clients: count("num_clients").unwrap(),
        num_conversations: count("num_conversations").unwrap(),
        active_conversations: count("active_conversations"),
        seed: params["seed"].as_u64().unwrap(),
        min_tokens: params["min_tokens"].as_i64(),
        max_tokens: params["max_tokens"].as_i64(),
    }
}

fn generation(case: &Value) -> Vec<(String, String)> {
    let stock = [
        ("text_files", "text/book.txt"),
        ("input_num_turns", "UniformDistribution[12, 18]"),
        ("input_common_prefix_num_tokens", "Constant[500]"),
        ("input_prefix_num_tokens", "LognormalDistribution[1000, 0.85, 5000]"),
        ("input_num_tokens", "UniformDistribution[120, 160]"),
        ("output_num_tokens", "UniformDistribution[80, 120]"),
    ];
    let pairs = stock.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    if case["generated"] == true { pairs } else { Vec::new() }
}

fn summaries(case: &Value) -> Vec<Summary> {
    let fractions = case["warmup_fractions"].as_array().unwrap();
    let options = SummaryOptions {
        warmup_fractions: fractions.iter().filter_map(Value::as_f64).collect(),
        warmup_runtime_sec: case["warmup_runtime_sec"].as_f64(),
        between_turns: case["between_turns"] == true,
    };
    summarize(&case_rows(case), &options)
}

fn text(case: &Value, style: ReferenceStyle) -> String {
    statistics_text(&parameters(case), &generation(case), &summaries(case), style)
}

#[test]
fn statistics_equal_every_recorded_case() {
    let cases = cases();
    assert_eq!(cases.len(), 21);
    let mut whole = 0;
    for case in cases {
        let expect = recorded(case["stdout"].as_str().unwrap());
        let text = text(&case, ReferenceStyle { color: true });
        if expect.contains("...") {
            // Cut to the terminal's width, which we never do; what stands above is the same.
            let above = expect.split("  count").next().unwrap();
            assert!(text.starts_with(above.trim_end_matches(' ')), "{}", case["name"]);
        } else {
            assert_eq!(text, expect, "{}", case["name"]);
            whole += 1;
        }
    }
    assert!(whole >= 15, "only {whole} tables were compared whole");
}

#[test]
fn our_tables_are_never_cut_and_have_no_color() {
    for case in cases().iter().filter(|case| case["columns"] == 80) {
        let whole = text(case, ReferenceStyle::default());
        assert!(!whole.contains("...") && !whole.contains('\u{1b}'), "{}", case["name"]);
        assert!(whole.contains("50%     75%"));
    }
}

#[test]
fn the_table_of_conversations_equals_the_recorded_one() {
    let style = ReferenceStyle { color: true };
    assert!(recorded("run_defaults.txt").starts_with(&conversations_text(&[4, 4, 6], style)));
    let six = [4, 4, 6, 6, 8, 8];
    assert!(recorded("run_excel.txt").starts_with(&conversations_text(&six, style)));
}

/// Tokens of the messages of each conversation in the recorded case, one special token each.
fn generator_statistics() -> ConversationStats {
    const TOKENS: [&[u32]; 6] = [
        &[125, 15, 98, 18, 105, 30],
        &[205, 27, 110, 29, 74, 24, 59, 10],
        &[85, 20],
        &[146, 10, 94, 14, 109, 16],
        &[152, 11, 74, 17, 63, 13],
        &[148, 24, 70, 22, 76, 30],
    ];
    let mut statistics = ConversationStats::default();
    for tokens in TOKENS {
        let with_special: Vec<u32> = tokens.iter().map(|count| count + 1).collect();
        let mean = |first: usize| {
            let side: Vec<u32> = with_special.iter().skip(first).step_by(2).copied().collect();
            f64::from(side.iter().sum::<u32>()) / side.len() as f64
        };
        statistics.conversation_turns.push(tokens.len() as f64);
        statistics.user_tokens.push(mean(0));
        statistics.assistant_tokens.push(mean(1));
        for request in (1..=with_special.len()).step_by(2) {
            statistics.request_tokens.push(f64::from(with_special[..request].iter().sum::<u32>()));
        }
    }
    statistics
}

#[test]
fn the_generators_tables_equal_the_recorded_ones() {
    let statistics = generator_statistics();
    let whole = generator_text(&statistics, ReferenceStyle { color: true });
    assert!(recorded("run_generate_e2e.txt").starts_with(&whole));
}
