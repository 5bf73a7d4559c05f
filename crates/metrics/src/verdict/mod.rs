//! Whether a run's numbers are the server's or the client's: its verdict on itself.
//!
//! Pure: from numbers already in the report. Limits stand in `thresholds`, what each reason is in
//! `rules`, what to do about it in `guide`.

mod evidence;
mod finding;
mod guide;
mod lateness;
mod note;
mod reason;
mod rules;
mod thresholds;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use evidence::Evidence;
pub(crate) use guide::push_guide;
pub use note::{Note, NoteId};
pub use reason::{Reason, ReasonId};
pub(crate) use thresholds::TAIL_SAMPLES;

/// How far a run's numbers can be trusted, and why not further.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The level of the weightiest reason.
    pub level: Level,
    /// What speaks against the numbers, the weightiest first; empty when trustworthy.
    pub reasons: Vec<Reason>,
    /// What a reader should know beside them; it changes no level.
    #[serde(default)]
    pub notes: Vec<Note>,
}

/// How far a run's numbers can be trusted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nothing speaks against them.
    Trustworthy,
    /// Some of them say less than they seem to.
    Caution,
    /// The client, not the server, made some of them.
    ClientLimited,
}

impl Level {
    /// The name used in JSON and on the terminal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trustworthy => "trustworthy",
            Self::Caution => "caution",
            Self::ClientLimited => "client-limited",
        }
    }
}

impl Verdict {
    /// Judges. The same evidence gives the same verdict.
    pub(crate) fn of(evidence: &Evidence<'_>) -> Self {
        let mut reasons: Vec<Reason> =
            rules::RULES.iter().filter_map(|rule| rule(evidence)).collect();
        reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.level), reason.id));
        let level = reasons.first().map_or(Level::Trustworthy, |reason| reason.level);
        let notes = note::notes(evidence, &reasons);
        Self { level, reasons, notes }
    }

    /// The reason of this kind, if there is one.
    pub fn reason(&self, id: ReasonId) -> Option<&Reason> {
        self.reasons.iter().find(|reason| reason.id == id)
    }
}
