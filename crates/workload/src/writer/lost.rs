//! What targets leave out, under the names by which people are told.

use turnbench_model::{Conversation, RecordedTurn};

use super::WriteReport;

pub(super) const ANSWERS: &str = "recorded answers of turns";
pub(super) const BORDERS: &str = "borders between turns";
pub(super) const BORDERS_OF_MESSAGES: &str = "borders between messages of a turn";
pub(super) const BLOCK_NAMES: &str = "block names of turns";
pub(super) const LATENCIES: &str = "latencies of recorded answers";
pub(super) const LIMITS: &str = "limits of answer lengths that became lengths";
pub(super) const MAX_TOKENS: &str = "limits of answer lengths";
pub(super) const MESSAGE_KEYS: &str = "keys of messages";
pub(super) const MESSAGE_TEXTS: &str = "texts of messages";
pub(super) const MIN_TOKENS: &str = "least lengths of answers";
pub(super) const MODELS: &str = "models of turns";
pub(super) const PARENTS: &str = "parents of sub-conversations";
pub(super) const PARTS: &str = "content parts";
pub(super) const PART_KEYS: &str = "keys of content parts";
pub(super) const PARTS_ORDER: &str = "order of content parts";
pub(super) const PROMPT_TOKENS: &str = "recorded lengths of prompts";
pub(super) const REQUEST_KEYS: &str = "keys of requests";
pub(super) const ROLES: &str = "roles of messages sent as the user's";
pub(super) const SEND_TIMES: &str = "send times";
pub(super) const SHORT_PROMPTS: &str =
    "what prompts shorter than a block share (a smaller --block-size keeps it)";
pub(super) const SMALL_BLOCKS: &str =
    "what smaller blocks of turns share (--block-size is larger than the trace's)";
pub(super) const STANDALONE: &str = "turns without the history before them";
pub(super) const SYSTEM: &str = "system messages";
pub(super) const THINK_TIMES: &str = "think times";
pub(super) const TOOL_CALLS: &str = "tool calls";
pub(super) const TOOLS: &str = "tools, whose tokens are counted in the prompts";
pub(super) const TRAILING: &str = "messages after the last turn";
pub(super) const WITHOUT_LENGTH: &str = "turns without tokens or a length";
pub(super) const WITHOUT_QUESTION: &str = "conversations without a message to answer";
pub(super) const WITHOUT_TEXT: &str = "conversations without text";

/// What a conversation that makes no row lacks.
pub(super) fn without_turns(conversation: &Conversation) -> &'static str {
    if conversation.messages.is_empty() { WITHOUT_TEXT } else { WITHOUT_QUESTION }
}

/// How many recorded turns have something.
pub(super) fn turns(conversation: &Conversation, has: impl Fn(&RecordedTurn) -> bool) -> u64 {
    conversation.recorded.iter().filter(|turn| has(turn)).count() as u64
}

/// Counts what no target but turnbench's own holds.
pub(super) fn lose_own(conversation: &Conversation, report: &mut WriteReport) {
    let latencies = |turn: &RecordedTurn| turn.latency_ns.is_some() || turn.ttft_ns.is_some();
    report.lose(LATENCIES, turns(conversation, latencies));
    report.lose_if(conversation.parent.is_some(), PARENTS);
}

/// Counts what rows of text have no place for beside [`lose_own`].
pub(super) fn lose_trace(conversation: &Conversation, report: &mut WriteReport) {
    report.lose(PROMPT_TOKENS, turns(conversation, |turn| turn.prompt_tokens.is_some()));
    report.lose(BLOCK_NAMES, turns(conversation, |turn| !turn.hash_ids.is_empty()));
    // Nothing goes before the first turn anyway.
    let standalone = conversation.recorded.iter().skip(1).filter(|turn| turn.standalone).count();
    report.lose(STANDALONE, standalone as u64);
}
