//! Workloads: input files, generation of conversations, tokenizers.
//!
//! It reads generator configs and lists of conversations, makes conversations from texts exactly
//! as vLLM's multi-turn benchmark does for the same seed, and loads tokenizers and chat templates
//! from directories, the Hugging Face Hub or the binary itself. It knows nothing of servers and
//! requests, prints nothing (what is worth telling comes back as [`Warning`]s) and takes
//! randomness from a seed only.
//!
//! ```no_run
//! use std::path::Path;
//! use turnbench_workload::{
//!     DecodeCleanup, Input, TokenizerSpec, generate, load_tokenizer, write_conversations_json,
//! };
//!
//! let input = Input::open(Path::new("generate_multi_turn.json"), None)?;
//! let Input::Generator(file) = input else { panic!("a data set") };
//! let source = TokenizerSpec::parse("builtin:o200k_base")?;
//! let loaded = load_tokenizer(&source, DecodeCleanup::Auto)?;
//! let conversations = generate(&file.config, &loaded.tokenizer, 0)?;
//! write_conversations_json(&conversations, 4, &mut std::io::stdout().lock())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache_analysis;
mod config;
mod data_set;
mod distribution;
mod error;
mod format;
mod generate;
mod input;
mod inspect;
mod json_file;
mod message_text;
mod number;
mod prompts;
mod run_reuse;
mod sharegpt;
mod stats;
mod token_counts;
mod tokenizer;
mod trace_text;
mod warning;
mod working_set;
mod writer;

pub use cache_analysis::{CacheAnalysis, analyze_cache};
pub use config::GeneratorConfig;
pub use data_set::{
    AsciiFilter, ConversationStream, DataSet, DataSource, Filters, OverModelLen, ReadOptions,
    ReadReport, Selection, SkipCount,
};
pub use distribution::Distribution;
pub use error::{TextPart, WorkloadError};
pub use format::{
    Container, FORMATS, Format, Item, JsonRows, Peek, ReadState, Reader, Row, Skipped, Source,
};
pub use generate::{generate, generate_from};
pub use input::{GeneratorFile, Input};
pub use inspect::{InspectOptions, inspect};
pub use number::Number;
pub use prompts::{
    BlockOptions, BlocksOfRun, PromptBlocks, PromptSource, RequestBlocks, RunBlocks, SentOptions,
    SentPrompts,
};
pub use run_reuse::run_reuse;
pub use sharegpt::{ConversationTable, Converted, Dump, MergedDump, ReferenceRules};
pub use stats::conversation_stats;
pub use token_counts::{CountOptions, TokenCounter, message_tokens, server_counted};
pub use tokenizer::{
    BuiltinTokenizer, DecodeCleanup, HfTokenizer, HubSettings, JinjaTemplate, LoadError, Loaded,
    TokenizerSpec, load_tokenizer, load_tokenizer_with,
};
pub use trace_text::{FillReport, TraceText, TraceTextError};
pub use warning::Warning;
pub use working_set::WorkingSet;
pub use writer::{
    OutputFile, Target, WriteError, WriteReport, Writer, WriterOptions, write_conversations_json,
};
