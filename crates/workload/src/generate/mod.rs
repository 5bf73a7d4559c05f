mod encode;
mod piece;
mod plan;
mod prefix_count;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use turnbench_model::{Conversation, Message, Tokenizer};
use turnbench_random::NumpyStream;

use crate::tokenizer::WordTokenizer;
use crate::{GeneratorConfig, TextPart, WorkloadError, json_file};
use encode::encode_long;
use piece::Pieces;
use plan::{ConversationPlan, Plan};
use prefix_count::PrefixCounter;

/// Ends the fixed part of each user message; the text to rewrite follows.
const BASE_PROMPT: &str = "Please rewrite the following text and add more content: ";

/// Makes the conversations of a config from a seed.
///
/// The result equals that of vLLM's multi-turn benchmark byte for byte for the same config, texts,
/// tokenizer and seed. Seeds above 2^32 - 1, which it does not take, are two words of numpy's
/// array seeding. Each text is tokenized once, whole; pieces of it are decoded in parallel.
///
/// # Errors
/// When a text file can't be read, the texts are too short (found before anything is decoded), a
/// distribution can't be drawn from, or the tokenizer fails.
pub fn generate(
    config: &GeneratorConfig,
    tokenizer: &dyn Tokenizer,
    seed: u64,
) -> Result<Vec<Conversation>, WorkloadError> {
    let mut stream = u32::try_from(seed).map_or_else(
        |_| NumpyStream::from_key(&[seed as u32, (seed >> 32) as u32]),
        NumpyStream::new,
    );
    generate_from(config, tokenizer, &mut stream)
}

/// [`generate`] from a given random stream, which is left after the last draw.
///
/// # Errors
/// As [`generate`].
pub fn generate_from(
    config: &GeneratorConfig,
    tokenizer: &dyn Tokenizer,
    stream: &mut NumpyStream,
) -> Result<Vec<Conversation>, WorkloadError> {
    let texts = read_texts(config)?;
    let (tokenizer, tokens) = tokenize(config, &texts, tokenizer)?;
    let tokenizer = &tokenizer;
    let base_tokens = tokenizer.count(BASE_PROMPT)? as i64;
    let plan = Plan::draw(config, base_tokens, stream)?;
    let pieces = Pieces::new(&tokens, tokenizer);
    let common = match plan.common_tokens(tokens.len()) {
        Some(count) => pieces.text(0..count)? + ".",
        None => String::new(),
    };
    let names: Vec<String> = (0..plan.conversations.len())
        .map(|index| format!("{index} is a nice number... "))
        .collect();
    let first_counter = PrefixCounter::new(&common, &names, tokenizer)?;
    let no_prefix = PrefixCounter::new("", &names, tokenizer)?;
    let counts = plan
        .conversations
        .par_iter()
        .zip(&names)
        .map(|(conversation, name)| {
            let later = no_prefix.count(name)?;
            let first = if common.is_empty() { later } else { first_counter.count(name)? };
            let spans = conversation.prompt_spans(first as i64, later as i64, base_tokens);
            Ok(spans)
        })
        .collect::<Result<Vec<_>, WorkloadError>>()?;
    for (index, (conversation, prompts)) in plan.conversations.iter().zip(&counts).enumerate() {
        conversation.check_length(index, prompts, tokens.len())?;
    }
    let answers = answers(&plan, &pieces)?;
    let builder = Builder { common: &common, pieces: &pieces, answers: &answers };
    plan.conversations
        .par_iter()
        .zip(&counts)
        .zip(&names)
        .enumerate()
        .map(|(index, ((plan, prompts), name))| builder.conversation(index, plan, prompts, name))
        .collect()
}

/// The text of each file. A file that is listed twice is read once.
fn read_texts(config: &GeneratorConfig) -> Result<BTreeMap<&Path, String>, WorkloadError> {
    let mut distinct: BTreeMap<&Path, usize> = BTreeMap::new();
    for (index, file) in config.text_files.iter().enumerate() {
        distinct.entry(file).or_insert(index);
    }
    let texts = distinct.into_iter().map(|(file, index)| {
        let path = config.resolve(file);
        let bytes = std::fs::read(&path).map_err(|source| WorkloadError::ReadTextFile {
            path: config.path.clone(),
            index,
            file: file.to_owned(),
            source,
        })?;
        let text = json_file::to_text(&path, bytes)?;
        // As Python reads text: every line end becomes one newline.
        let text =
            if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text };
        Ok((file, text))
    });
    texts.collect()
}

/// Token ids of all text files, one after another, and a tokenizer that knows their words. A file
/// that is listed twice is tokenized once.
fn tokenize<'a>(
    config: &GeneratorConfig,
    texts: &'a BTreeMap<&Path, String>,
    tokenizer: &'a dyn Tokenizer,
) -> Result<(WordTokenizer<'a>, Vec<u32>), WorkloadError> {
    let in_order: Vec<&str> = texts.values().map(String::as_str).collect();
    let (learned, ids) = WordTokenizer::learn(&in_order, tokenizer)?;
    let ids = match ids {
        Some(ids) => ids,
        None => in_order
            .par_iter()
            .map(|text| encode_long(text, tokenizer))
            .collect::<Result<_, _>>()?,
    };
    let encoded: BTreeMap<&Path, Vec<u32>> = texts.keys().copied().zip(ids).collect();
    let mut tokens = Vec::with_capacity(encoded.values().map(Vec::len).sum());
    for file in &config.text_files {
        if let Some(ids) = encoded.get(file.as_path()) {
            tokens.extend_from_slice(ids);
        }
    }
    Ok((learned, tokens))
}

/// The text of every answer length in use: all answers are beginnings of the same text.
fn answers(plan: &Plan, pieces: &Pieces) -> Result<BTreeMap<usize, String>, WorkloadError> {
    let lengths: BTreeSet<usize> =
        plan.conversations.iter().flat_map(|plan| plan.answers.iter().copied()).collect();
    let lengths: Vec<usize> = lengths.into_iter().collect();
    lengths.par_iter().map(|&length| Ok((length, pieces.text(0..length)?))).collect()
}

/// Puts the pieces of conversations together.
struct Builder<'a> {
    common: &'a str,
    pieces: &'a Pieces<'a>,
    answers: &'a BTreeMap<usize, String>,
}

impl Builder<'_> {
    fn conversation(
        &self,
        index: usize,
        plan: &ConversationPlan,
        prompts: &[std::ops::Range<usize>],
        name: &str,
    ) -> Result<Conversation, WorkloadError> {
        let index_text = index.to_string();
        let mut messages = Vec::with_capacity(2 * prompts.len());
        for (turn, (prompt, answer)) in prompts.iter().zip(&plan.answers).enumerate() {
            let prefix = plan.prefix.as_ref().filter(|_| turn == 0);
            let common = if turn == 0 { self.common } else { "" };
            let pieces =
                self.pieces.bytes(prompt) + prefix.map_or(0, |place| self.pieces.bytes(place));
            let fixed = common.len() + name.len() + index_text.len() + 2 + BASE_PROMPT.len();
            let mut text = String::with_capacity(fixed + pieces);
            text.push_str(common);
            text.push_str(name);
            if let Some(prefix) = prefix.cloned() {
                text.push_str(&index_text);
                text.push_str(", ");
                self.pieces.push_text(prefix, &mut text)?;
            }
            text.push_str(BASE_PROMPT);
            if !prompt.is_empty() {
                self.pieces.push_text(prompt.clone(), &mut text)?;
            }
            messages.push(Message::new("user", text));
            let answer = self.answers.get(answer).map_or("", String::as_str);
            messages.push(Message::new("assistant", answer));
        }
        Ok(Conversation::new(format!("CONV_ID_{index}"), messages))
    }
}

/// The complaint that the texts are too short.
fn too_short(
    part: TextPart,
    conversation: usize,
    message: usize,
    needed: i64,
    available: usize,
) -> WorkloadError {
    WorkloadError::TextTooShort {
        part,
        conversation,
        message,
        needed: needed.max(0) as u64,
        available,
    }
}
