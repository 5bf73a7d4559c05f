use std::collections::BTreeMap;
use std::io::{self, Write};

use rayon::prelude::*;
use turnbench_model::Tokenizer;

use super::dump::MergedDump;
use super::message::{self, Message};
use super::table::{ConversationTable, TableRow};
use crate::WorkloadError;

/// Conversations that are converted before the first of them is written: some megabytes.
const BATCH: usize = 128;

/// Which conversations the reference keeps. `None` and 0 set no limit, but for `max_turns`, where 0
/// is one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReferenceRules {
    /// Fewest messages, before anything is left out.
    pub min_turns: Option<i64>,
    /// Message (from 0) at which a conversation ends; one that is left out at its beginning counts.
    pub max_turns: Option<i64>,
    /// Fewest characters (code points) of every message.
    pub min_content_len: Option<i64>,
    /// Most characters (code points) of every message.
    pub max_content_len: Option<i64>,
}

/// What a conversion came to.
#[derive(Debug, Default)]
pub struct Converted {
    /// The conversations that were kept, by their place among the merged ones.
    pub kept: Vec<u32>,
    /// Their numbers.
    pub table: ConversationTable,
    /// The others by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Why the conversations could not be written, though they could be counted: the first in
    /// order that holds text which UTF-8 cannot.
    pub unwritable: Option<Box<WorkloadError>>,
}

/// What becomes of one conversation.
enum Outcome {
    Kept(TableRow, Result<Vec<u8>, WorkloadError>),
    Dropped(&'static str),
}

impl MergedDump {
    /// Converts conversations (all, or those of `chosen`, in this order), and writes the list
    /// `[{"id", "messages": [{"role", "content"}]}]` with the bytes of Python's
    /// `json.dump(list, ensure_ascii=False, indent=2)`; without `out` they are only counted. When one
    /// is unwritable, what was written is of no use.
    ///
    /// With a tokenizer the messages' tokens are counted, special tokens included.
    ///
    /// # Errors
    /// When a message is not what it must be ([`WorkloadError::Field`]; the first in order is
    /// named), a tokenizer fails, or `out` does ([`WorkloadError::Write`]).
    pub fn convert(
        &self,
        rules: &ReferenceRules,
        chosen: Option<&[u32]>,
        tokenizer: Option<&dyn Tokenizer>,
        out: Option<&mut (dyn Write + Send)>,
    ) -> Result<Converted, WorkloadError> {
        let all: Vec<u32>;
        let chosen = if let Some(chosen) = chosen {
            chosen
        } else {
            all = (0..self.conversations.len() as u32).collect();
            &all
        };
        let mut list = List { out, count: 0 };
        let mut converted = Converted::default();
        let mut ready: Vec<Vec<u8>> = Vec::new();
        // A batch is written while the next one is converted.
        for batch in chosen.chunks(BATCH).chain([&[][..]]) {
            let renders = list.out.is_some() && converted.unwritable.is_none();
            let (written, outcomes) = rayon::join(
                || list.push(&ready),
                || self.outcomes(batch, rules, tokenizer, renders),
            );
            written.map_err(WorkloadError::Write)?;
            ready.clear();
            for (&place, outcome) in batch.iter().zip(outcomes) {
                match outcome? {
                    Outcome::Dropped(reason) => *converted.dropped.entry(reason).or_default() += 1,
                    Outcome::Kept(row, rendered) => {
                        converted.kept.push(place);
                        converted.table.push(row);
                        match rendered {
                            Ok(text) => ready.push(text),
                            Err(error) if converted.unwritable.is_none() => {
                                converted.unwritable = Some(Box::new(error));
                            }
                            Err(_) => {}
                        }
                    }
                }
            }
        }
        list.end().map_err(WorkloadError::Write)?;
        Ok(converted)
    }

    fn outcomes(
        &self,
        places: &[u32],
        rules: &ReferenceRules,
        tokenizer: Option<&dyn Tokenizer>,
        renders: bool,
    ) -> Vec<Result<Outcome, WorkloadError>> {
        places
            .par_iter()
            .map(|&place| {
                let merged = &self.conversations[place as usize];
                let texts = merged
                    .parts
                    .iter()
                    .map(|part| self.index.text(part.item as usize))
                    .collect::<Result<Vec<_>, _>>()?;
                let path = self.index.path();
                let messages = match message::taken(path, merged, &texts, rules)? {
                    Ok(messages) => messages,
                    Err(reason) => return Ok(Outcome::Dropped(reason)),
                };
                let row = TableRow::of(&messages, tokenizer)?;
                let rendered =
                    if renders { render(path, &merged.id, &messages) } else { Ok(Vec::new()) };
                Ok(Outcome::Kept(row, rendered))
            })
            .collect()
    }
}

/// The list that is being written.
struct List<'a> {
    out: Option<&'a mut (dyn Write + Send)>,
    count: u64,
}

impl List<'_> {
    fn push(&mut self, conversations: &[Vec<u8>]) -> io::Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        for text in conversations {
            out.write_all(if self.count == 0 { b"[\n" } else { b",\n" })?;
            out.write_all(text)?;
            self.count += 1;
        }
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        let Some(out) = self.out else { return Ok(()) };
        out.write_all(if self.count == 0 { b"[]" } else { b"\n]" })?;
        out.flush()
    }
}

/// A conversation as it stands in the list.
fn render(
    path: &std::path::Path,
    id: &[u8],
    messages: &[Message],
) -> Result<Vec<u8>, WorkloadError> {
    let texts: usize = messages.iter().map(|message| message.text.len() + 80).sum();
    let mut out = Vec::with_capacity(texts + texts / 16 + 80);
    if std::str::from_utf8(id).is_err() {
        return Err(messages[0].refuse_surrogate(path, "id"));
    }
    out.extend_from_slice(b"  {\n    \"id\": \"");
    escape(id, &mut out);
    out.extend_from_slice(b"\",\n    \"messages\": [");
    for (index, message) in messages.iter().enumerate() {
        if std::str::from_utf8(&message.text).is_err() {
            return Err(message.refuse_surrogate(path, "value"));
        }
        let role: &[u8] = if index % 2 == 0 { b"user" } else { b"assistant" };
        out.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
        out.extend_from_slice(b"      {\n        \"role\": \"");
        out.extend_from_slice(role);
        out.extend_from_slice(b"\",\n        \"content\": \"");
        escape(&message.text, &mut out);
        out.extend_from_slice(b"\"\n      }");
    }
    out.extend_from_slice(b"\n    ]\n  }");
    Ok(out)
}

/// Appends text as it stands between the quotes of a JSON string, with no more escapes than needed.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.chunks(CHUNK_BYTES) {
        // Without a way out in the middle the compiler compares all bytes of a chunk at once.
        if !chunk.iter().fold(false, |any, &byte| any | needs_escape(byte)) {
            out.extend_from_slice(chunk);
            continue;
        }
        let mut plain_from = 0;
        for (at, &byte) in chunk.iter().enumerate().filter(|(_, byte)| needs_escape(**byte)) {
            out.extend_from_slice(&chunk[plain_from..at]);
            escape_byte(byte, out);
            plain_from = at + 1;
        }
        out.extend_from_slice(&chunk[plain_from..]);
    }
}

/// Bytes that are looked at together.
const CHUNK_BYTES: usize = 32;

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        8 => out.extend_from_slice(b"\\b"),
        12 => out.extend_from_slice(b"\\f"),
        0..0x20 => {
            out.extend_from_slice(b"\\u00");
            out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[digit as usize]));
        }
        byte => out.push(byte),
    }
}
