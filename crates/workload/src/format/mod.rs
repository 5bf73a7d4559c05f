//! Data sets and traces: one file per format, all read through one interface.
//!
//! A format is recognized from a file's beginning ([`Peek`]) and hands out conversations one by
//! one, so that a file is read no further than its reader is asked to. A row that is no
//! conversation is handed out as [`Skipped`]: what becomes of it is the caller's matter.
//!
//! Formats with text hand out [`Conversation`]s with messages. Traces without text hand them out
//! with `recorded` turns alone (lengths, block names, times) and no messages; the text is made
//! afterwards, when a tokenizer is at hand.

mod aiperf;
mod azure;
mod bailian;
mod burstgpt;
mod chat_rows;
mod conversations;
mod csv_rows;
mod dynamo;
mod exchange;
mod extent;
mod gathered;
mod lmsys;
mod local_ids;
mod mlperf_agentic;
mod mooncake;
mod openai;
mod otel;
mod parquet_rows;
mod peek;
mod remarks;
mod row;
mod row_groups;
mod rows;
mod sharegpt;
mod source;
#[cfg(test)]
mod testing;
mod trace;
mod units;
mod weka;
mod wildchat;

use std::fmt;

use turnbench_model::Conversation;

pub(crate) use conversations::message;
pub use peek::{Container, Peek};
pub use row::Row;
pub use rows::JsonRows;
pub use source::{ReadState, Source};

use crate::{Warning, WorkloadError};

/// What a reader hands out.
#[derive(Debug)]
pub enum Item {
    /// A conversation.
    Conversation(Box<Conversation>),
    /// A row that is none.
    Skipped(Skipped),
    /// So many rows more are parts of the conversation handed out before.
    Merged(u64),
    /// Something worth telling that stops nothing.
    Remark(Warning),
}

/// A row, or a part of one, that became no conversation.
#[derive(Debug)]
pub struct Skipped {
    /// Why, in few words that are the same for all rows of a kind, e.g. `unknown role`.
    pub reason: &'static str,
    /// The whole complaint, with the place.
    pub error: Box<WorkloadError>,
}

impl Skipped {
    /// A row skipped for `reason`; `error` says where and why exactly.
    pub fn new(reason: &'static str, error: WorkloadError) -> Self {
        Self { reason, error: Box::new(error) }
    }
}

/// Conversations in file order. An error ends the file: nothing useful can follow it.
pub type Reader = Box<dyn Iterator<Item = Result<Item, WorkloadError>> + Send>;

/// A format of data sets.
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Whether a file that begins like this is one. Formats exclude each other as far as their
    /// published schemas do.
    pub sniff: fn(&Peek) -> bool,
    /// Begins to read.
    pub read: fn(Source) -> Result<Reader, WorkloadError>,
}

impl fmt::Debug for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Format").field(&self.name).finish()
    }
}

/// Every format, in the order in which they are listed to people.
pub const FORMATS: &[Format] = &[
    conversations::FORMAT,
    openai::FORMAT,
    sharegpt::FORMAT,
    aiperf::FORMAT,
    mlperf_agentic::FORMAT,
    otel::FORMAT,
    wildchat::FORMAT,
    lmsys::FORMAT,
    mooncake::FORMAT,
    dynamo::FORMAT,
    bailian::FORMAT,
    weka::FORMAT,
    burstgpt::FORMAT,
    azure::FORMAT,
];
