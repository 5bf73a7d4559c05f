mod frame;

use std::fmt::Write as _;

use rayon::prelude::*;
use turnbench_model::{Conversation, Tokenizer};

use crate::WorkloadError;
use frame::{Frame, describe};

/// Token counts of a workload's conversations (`print_stats` of a generator config), with the
/// special tokens that the tokenizer adds around each message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConversationStats {
    /// Messages of each conversation (the reference calls them turns).
    pub conversation_turns: Vec<f64>,
    /// Mean tokens of each conversation's user messages.
    pub user_tokens: Vec<f64>,
    /// Mean tokens of each conversation's assistant messages.
    pub assistant_tokens: Vec<f64>,
    /// Tokens of all messages up to and including each user message: what its request sends.
    pub request_tokens: Vec<f64>,
}

/// How [`ConversationStats::table`] looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TableStyle {
    /// Leave out middle columns where a table is wider, as pandas does; `None`: never.
    pub width: Option<usize>,
    /// Headings in yellow.
    pub color: bool,
}

impl ConversationStats {
    /// Counts tokens, in parallel.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn count(
        conversations: &[Conversation],
        tokenizer: &dyn Tokenizer,
    ) -> Result<Self, WorkloadError> {
        let special = tokenizer.special_tokens_count();
        let counts = conversations
            .par_iter()
            .map(|conversation| {
                conversation
                    .messages
                    .iter()
                    .map(|message| Ok(tokenizer.count(&message.content.text())? + special))
                    .collect::<Result<Vec<u64>, WorkloadError>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut stats = Self::default();
        for (conversation, counts) in conversations.iter().zip(&counts) {
            stats.add(conversation, counts);
        }
        Ok(stats)
    }

    fn add(&mut self, conversation: &Conversation, counts: &[u64]) {
        let mean_of = |role: &str| {
            let of_role = conversation.messages.iter().zip(counts);
            let of_role: Vec<u64> = of_role
                .filter(|(message, _)| message.role == role)
                .map(|(_, &count)| count)
                .collect();
            (!of_role.is_empty()).then(|| of_role.iter().sum::<u64>() as f64 / of_role.len() as f64)
        };
        self.conversation_turns.push(conversation.messages.len() as f64);
        self.user_tokens.extend(mean_of("user"));
        self.assistant_tokens.extend(mean_of("assistant"));
        let mut sent = 0;
        for (message, count) in conversation.messages.iter().zip(counts) {
            sent += count;
            if message.role == "user" {
                self.request_tokens.push(sent as f64);
            }
        }
    }

    /// The two tables, as the reference prints them.
    pub fn table(&self, style: TableStyle) -> String {
        const RULE_WIDTH: usize = 100;
        let rule = "-".repeat(RULE_WIDTH);
        let conversations = describe(&[
            ("conversation_turns", &self.conversation_turns),
            ("user_tokens", &self.user_tokens),
            ("assistant_tokens", &self.assistant_tokens),
        ]);
        let requests = describe(&[("request_tokens", &self.request_tokens)]);
        let mut text = "\nCollecting statistics...\n".to_owned();
        let mut section = |heading: &str, table: &Frame| {
            let heading =
                if style.color { format!("\x1b[93m{heading}\x1b[0m") } else { heading.to_owned() };
            let _ = write!(text, "{rule}\n{heading}\n{rule}\n{}\n", table.render(style.width));
        };
        section("Conversations statistics:", &conversations);
        section("Request statistics:", &requests);
        text.push_str(&rule);
        text.push('\n');
        text
    }
}
