//! The cache ledger of a run: what was possible, what the server says, and what the clock saw.

mod causes;
mod counters;
mod differences;
mod observations;
mod reusable;
mod sums;
#[cfg(test)]
mod testing;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use causes::TokenCauses;
pub use differences::{Difference, DifferenceId, Finding};
pub(crate) use observations::{OtherAttempts, observations};
pub use reusable::{BlockSizeSource, PromptFacts, ReusableTokens, RunReuse};
pub use sums::{LedgerSums, TierTokens};

use crate::report::Counts;
use crate::{NeededCapacity, RequestRow, ServerReport, SpeedOptions, Speeds, speeds};

/// Conversations that are told one by one: those that missed most.
pub const LEDGER_CONVERSATIONS: usize = 1_000;

/// What was possible in a run, what the server says of its cache, and what the clock saw, side by side.
///
/// **Invariant:** what is not reported or not known is absent. Nothing is estimated in its place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CacheLedger {
    /// How prompts were put into blocks; absent where they were not, and with them every ideal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<PromptFacts>,
    /// Tokens that the device's KV cache holds, as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_capacity_tokens: Option<u64>,
    /// Bytes that the model keeps for a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_bytes_per_token: Option<f64>,
    /// Distinct tokens of all prompts and answers: what an endless cache fills up with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct_tokens: Option<u64>,
    /// The least LRU caches for shares of the ideal, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<NeededCapacity>,
    /// The run.
    pub total: LedgerSums,
    /// By turn of the conversation, ascending.
    pub turns: Vec<LedgerTurn>,
    /// By conversation, those first that missed most of their ideal, then the longest; at most
    /// [`LEDGER_CONVERSATIONS`].
    pub conversations: Vec<LedgerConversation>,
    /// How many conversations there are.
    pub conversations_count: u64,
    /// Where the prompt tokens came from, and why the others were computed; absent where the ideal or what
    /// the server cached is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causes: Option<TokenCauses>,
    /// How fast the server computes prompts and gets them back; absent without a completed request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speeds: Option<Speeds>,
    /// Where two sources tell of the same thing: whether they agree.
    pub differences: Vec<Difference>,
    /// What it all means, sentence by sentence.
    pub words: Vec<String>,
}

/// The requests of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerTurn {
    /// The turn, from 1.
    pub turn: u32,
    /// Its requests.
    #[serde(flatten)]
    pub sums: LedgerSums,
}

/// The requests of one conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerConversation {
    /// Its id.
    pub conversation_id: Arc<str>,
    /// Its requests.
    #[serde(flatten)]
    pub sums: LedgerSums,
}

/// What a ledger is made of.
pub(crate) struct LedgerSources<'a> {
    pub(crate) rows: &'a [RequestRow],
    pub(crate) reuse: Option<&'a RunReuse>,
    pub(crate) server: Option<&'a ServerReport>,
    pub(crate) counts: &'a Counts,
    pub(crate) other_attempts: &'a OtherAttempts,
    pub(crate) kv_bytes_per_token: Option<f64>,
}

impl CacheLedger {
    /// Of the completed requests of a run.
    pub(crate) fn of(sources: &LedgerSources<'_>) -> Self {
        let LedgerSources { rows, reuse, .. } = *sources;
        let all: Vec<&RequestRow> = rows.iter().collect();
        let by_turn = grouped(rows, |row| row.turn).into_iter();
        let by_conversation = grouped(rows, |row| Arc::clone(&row.conversation_id));
        let conversations_count = by_conversation.len() as u64;
        let conversations = by_conversation.into_iter().map(|(conversation_id, rows)| {
            LedgerConversation { conversation_id, sums: LedgerSums::of(&rows) }
        });
        let mut conversations: Vec<_> = conversations.collect();
        conversations.sort_by_key(|one| {
            std::cmp::Reverse((one.sums.missed_tokens, one.sums.prompt_tokens()))
        });
        conversations.truncate(LEDGER_CONVERSATIONS);
        let mut ledger = Self {
            prompts: reuse.map(|reuse| reuse.prompts.clone()),
            device_capacity_tokens: reuse.and_then(|reuse| reuse.device_capacity_tokens),
            kv_bytes_per_token: sources.kv_bytes_per_token,
            distinct_tokens: reuse.map(|reuse| reuse.distinct_tokens),
            needed: reuse.map(|reuse| reuse.needed.clone()).unwrap_or_default(),
            total: LedgerSums::of(&all),
            turns: by_turn
                .map(|(turn, rows)| LedgerTurn { turn, sums: LedgerSums::of(&rows) })
                .collect(),
            conversations,
            conversations_count,
            causes: TokenCauses::of(rows),
            speeds: (!rows.is_empty()).then(|| speeds_of(sources)),
            differences: Vec::new(),
            words: Vec::new(),
        };
        ledger.differences = differences::all(&ledger, sources);
        ledger.words = words::all(&ledger, sources.server);
        ledger
    }
}

fn speeds_of(sources: &LedgerSources<'_>) -> Speeds {
    let LedgerSources { rows, server, .. } = *sources;
    let tiers = server.into_iter().flat_map(|server| &server.tiers);
    let gave = tiers.filter(|tier| tier.tokens.is_some_and(|tokens| tokens > 0.0));
    let counted_tiers: Vec<&str> = gave.map(|tier| &*tier.tier).collect();
    let options = SpeedOptions {
        kv_bytes_per_token: sources.kv_bytes_per_token,
        counted_tiers: &counted_tiers,
    };
    speeds(&observations(rows, sources.other_attempts), &options)
}

fn grouped<K: Ord>(
    rows: &[RequestRow],
    key: impl Fn(&RequestRow) -> K,
) -> BTreeMap<K, Vec<&RequestRow>> {
    let mut groups: BTreeMap<K, Vec<&RequestRow>> = BTreeMap::new();
    for row in rows {
        groups.entry(key(row)).or_default().push(row);
    }
    groups
}
