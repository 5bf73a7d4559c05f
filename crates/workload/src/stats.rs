use rayon::prelude::*;
use turnbench_model::{Conversation, ConversationStats, Tokenizer, TokenizerError};

/// Counts the tokens of a workload for `print_stats`, in parallel.
///
/// # Errors
/// When the tokenizer fails.
pub fn conversation_stats(
    conversations: &[Conversation],
    tokenizer: &dyn Tokenizer,
) -> Result<ConversationStats, TokenizerError> {
    let special = tokenizer.special_tokens_count();
    let counts = conversations
        .par_iter()
        .map(|conversation| {
            conversation
                .messages
                .iter()
                .map(|message| Ok(tokenizer.count(&message.content.text())? + special))
                .collect::<Result<Vec<u64>, TokenizerError>>()
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut stats = ConversationStats::default();
    for (conversation, counts) in conversations.iter().zip(&counts) {
        add(&mut stats, conversation, counts);
    }
    Ok(stats)
}

fn add(stats: &mut ConversationStats, conversation: &Conversation, counts: &[u64]) {
    let mean_of = |role: &str| {
        let of_role = conversation.messages.iter().zip(counts);
        let of_role: Vec<u64> =
            of_role.filter(|(message, _)| message.role == role).map(|(_, &count)| count).collect();
        (!of_role.is_empty()).then(|| of_role.iter().sum::<u64>() as f64 / of_role.len() as f64)
    };
    stats.conversation_turns.push(conversation.messages.len() as f64);
    stats.user_tokens.extend(mean_of("user"));
    stats.assistant_tokens.extend(mean_of("assistant"));
    let mut sent = 0;
    for (message, count) in conversation.messages.iter().zip(counts) {
        sent += count;
        if message.role == "user" {
            stats.request_tokens.push(sent as f64);
        }
    }
}
