//! Whatever an input file holds, it is read or refused; it never ends in a panic.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use turnbench_workload::{GeneratorConfig, Input, ReadOptions, TokenizerSpec};

/// Any JSON value of moderate size.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-5i64..300).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z_]{1,6}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Any value in the place of one parameter of an otherwise good config.
fn any_config() -> impl Strategy<Value = Value> {
    let places = prop::sample::select(vec![
        "/filetype",
        "/num_conversations",
        "/text_files",
        "/print_stats",
        "/prompt_input",
        "/prompt_input/num_turns",
        "/prompt_input/num_turns/min",
        "/prompt_input/num_turns/max",
        "/prompt_input/num_tokens/average",
        "/prompt_input/num_tokens/median_ratio",
        "/prompt_input/num_tokens/max",
        "/prompt_input/prefix_num_tokens/alpha",
        "/prompt_output/num_tokens/value",
    ]);
    (places, any_json()).prop_map(|(place, value)| {
        let mut config = json!({
            "filetype": "generate_conversations",
            "num_conversations": 3,
            "text_files": ["a.txt"],
            "print_stats": false,
            "prompt_input": {
                "num_turns": {"distribution": "uniform", "min": 2, "max": 8},
                "num_tokens": {"distribution": "lognormal", "average": 50, "median_ratio": 0.8, "max": 90},
                "prefix_num_tokens": {"distribution": "poisson", "alpha": 5}
            },
            "prompt_output": {"num_tokens": {"distribution": "constant", "value": 9}}
        });
        *config.pointer_mut(place).unwrap() = value;
        config
    })
}

proptest! {
    #[test]
    fn any_parameter_is_taken_or_refused_with_its_file(config in any_config()) {
        let read = GeneratorConfig::from_json(Path::new("c.json"), &config, &mut Vec::new());
        if let Err(error) = read {
            let text = error.to_string();
            prop_assert!(text.starts_with("c.json: ") && text.contains(", allowed is "), "{}", text);
        }
    }

    #[test]
    fn any_tokenizer_name_is_taken_or_refused(name in ".{0,40}") {
        if let Err(error) = TokenizerSpec::parse(&name) {
            prop_assert!(error.to_string().contains(", allowed is "), "{}", error);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_file_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60), json in any_json()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.json");
        for content in [bytes, json.to_string().into_bytes(), format!("[{json}]").into_bytes()] {
            std::fs::write(&path, content).unwrap();
            let read = Input::open(&path, None).and_then(|input| match input {
                Input::Generator(_) => Ok(()),
                Input::DataSet(source) => source.read(&ReadOptions::default()).map(|_| ()),
            });
            if let Err(error) = read {
                prop_assert!(error.to_string().contains("in.json"));
            }
        }
    }
}
