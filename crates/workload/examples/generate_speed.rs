//! Times the generation of a workload, step by step:
//! `cargo run --release -p turnbench-workload --example generate_speed -- CONFIG TOKENIZER [COPIES]`.
//! `COPIES` repeats the text files, for a `num_conversations` that needs more text.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a stopwatch for people")]

use std::path::Path;
use std::time::Instant;

use turnbench_workload::{
    DecodeCleanup, Input, TokenizerSpec, generate, load_tokenizer, write_conversations_json,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, tokenizer, copies @ ..] = arguments.as_slice() else {
        return Err("usage: generate_speed CONFIG TOKENIZER [COPIES]".into());
    };
    let start = Instant::now();
    let Input::Generator(file) = Input::open(Path::new(config), None)? else {
        return Err("a data set".into());
    };
    let mut config = *file.config;
    let copies = copies.first().map_or(Ok(1), |count| count.parse())?;
    let files = config.text_files.clone();
    config.text_files = (0..copies).flat_map(|_| files.clone()).collect();
    let loaded = load_tokenizer(&TokenizerSpec::parse(tokenizer)?, DecodeCleanup::Auto)?;
    println!("tokenizer loaded  {:8.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let generating = Instant::now();
    let conversations = generate(&config, &loaded.tokenizer, 0)?;
    println!("generated         {:8.1} ms", generating.elapsed().as_secs_f64() * 1e3);
    let writing = Instant::now();
    let mut bytes = Vec::new();
    write_conversations_json(&conversations, 4, &mut bytes)?;
    println!("written           {:8.1} ms", writing.elapsed().as_secs_f64() * 1e3);
    println!("{} conversations, {} bytes", conversations.len(), bytes.len());
    println!("in all            {:8.1} ms", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
