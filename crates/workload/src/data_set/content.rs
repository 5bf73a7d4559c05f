use turnbench_model::{Content, Conversation, Message, Tokenizer};

use super::Filters;
use crate::WorkloadError;
use crate::token_counts::message_tokens;

/// Whether messages of ASCII characters alone are wanted: few languages but English are written so.
/// Messages without content, as beside tool calls, are neither.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AsciiFilter {
    /// They may be so or not.
    #[default]
    Any,
    /// Every message of a conversation must be so.
    Only,
    /// No message of a conversation may be so, as in the reference's converter.
    Exclude,
}

/// Why a conversation's messages are not wanted, if they are not. A trace without text is judged by
/// its lengths, and fails limits that look at text.
pub(super) fn refuses(
    filters: &Filters,
    conversation: &Conversation,
    tokenizer: Option<&dyn Tokenizer>,
) -> Result<Option<&'static str>, WorkloadError> {
    if let Some(reason) = refuses_texts(filters, conversation) {
        return Ok(Some(reason));
    }
    if filters.min_content_tokens.is_none() && filters.max_content_tokens.is_none() {
        return Ok(None);
    }
    for turn in conversation.recorded.iter().filter(|_| conversation.messages.is_empty()) {
        for tokens in [turn.prompt_tokens, turn.max_tokens].into_iter().flatten() {
            if let Some(reason) = refuses_tokens(filters, u64::from(tokens)) {
                return Ok(Some(reason));
            }
        }
    }
    let Some(tokenizer) = tokenizer else { return Ok(None) };
    for message in with_content(conversation) {
        if let Some(reason) = refuses_tokens(filters, message_tokens(message, tokenizer)?) {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

fn refuses_texts(filters: &Filters, conversation: &Conversation) -> Option<&'static str> {
    let Filters { min_content_len, max_content_len, ascii, .. } = *filters;
    if min_content_len.is_none() && max_content_len.is_none() && ascii == AsciiFilter::Any {
        return None;
    }
    if conversation.messages.is_empty() {
        return Some("no text that --min-content-len, --max-content-len or --ascii could look at");
    }
    with_content(conversation).find_map(|message| {
        let text = message.content.text();
        let length = text.chars().count() as u64;
        if min_content_len.is_some_and(|min| length < min) {
            return Some("a message shorter than --min-content-len");
        }
        if max_content_len.is_some_and(|max| length > max) {
            return Some("a message longer than --max-content-len");
        }
        match ascii {
            AsciiFilter::Only if !text.is_ascii() => {
                Some("a message with other than ASCII characters (--ascii only)")
            }
            AsciiFilter::Exclude if text.is_ascii() => {
                Some("a message of ASCII characters alone (--ascii exclude)")
            }
            AsciiFilter::Any | AsciiFilter::Only | AsciiFilter::Exclude => None,
        }
    })
}

fn refuses_tokens(filters: &Filters, tokens: u64) -> Option<&'static str> {
    if filters.min_content_tokens.is_some_and(|min| tokens < min) {
        return Some("a message of fewer tokens than --min-content-tokens");
    }
    if filters.max_content_tokens.is_some_and(|max| tokens > max) {
        return Some("a message of more tokens than --max-content-tokens");
    }
    None
}

/// The messages that say something themselves.
fn with_content(conversation: &Conversation) -> impl Iterator<Item = &Message> {
    conversation.messages.iter().filter(|message| message.content != Content::Null)
}
