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
