/// Why a trace cannot be given text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceTextError {
    /// The tokenizer has too few words that are one token wherever they stand.
    #[error(
        "the tokenizer has {found} lower-case words that stay one token each beside one another, \
         allowed is at least {needed}\nhint: name another tokenizer; its text is made up anyway, \
         only its token counts are the model's"
    )]
    TooFewWords {
        /// Words found.
        found: usize,
        /// Fewest words that do.
        needed: usize,
    },
    /// Block names without the number of tokens that one stands for.
    #[error(
        "conversation {conversation:?}, turn {turn}: hash_ids are given, but hash_block_size is \
         {seen}, allowed is a whole number from 1"
    )]
    NoBlockSize {
        /// Id of the conversation.
        conversation: String,
        /// The turn, from 1.
        turn: usize,
        /// `missing`, or the number.
        seen: &'static str,
    },
    /// A block is too short for so many different names.
    #[error(
        "conversation {conversation:?}, turn {turn}: hash id {id} cannot be told apart from others \
         in a block of {block_size} tokens, allowed are ids up to {max}\n\
         hint: number the ids of the trace from 0"
    )]
    IdTooLarge {
        /// Id of the conversation.
        conversation: String,
        /// The turn, from 1.
        turn: usize,
        /// The id.
        id: u64,
        /// Tokens of a block.
        block_size: u32,
        /// Highest id that fits.
        max: u64,
    },
    /// A turn of which no length is known.
    #[error(
        "conversation {conversation:?}, turn {turn}: it has no messages and neither prompt_tokens \
         nor hash_ids, allowed is a turn with one of them"
    )]
    NoLength {
        /// Id of the conversation.
        conversation: String,
        /// The turn, from 1.
        turn: usize,
    },
    /// A text that no machine should hold.
    #[error(
        "conversation {conversation:?}, turn {turn}: {field} is {tokens}, allowed is at most {max}"
    )]
    TooLong {
        /// Id of the conversation.
        conversation: String,
        /// The turn, from 1.
        turn: usize,
        /// `prompt_tokens` or `max_tokens`.
        field: &'static str,
        /// Tokens asked for.
        tokens: u64,
        /// Most that are allowed.
        max: u64,
    },
    /// Text came back from the tokenizer as other tokens than it was made of.
    #[error(
        "conversation {conversation:?}, turn {turn}: a text made of {expected} tokens became \
         {found} others when it was tokenized again\n\
         hint: the tokenizer joins words in some places; name another one"
    )]
    Unstable {
        /// Id of the conversation.
        conversation: String,
        /// The turn, from 1.
        turn: usize,
        /// Tokens that the text was made of.
        expected: usize,
        /// Tokens that it became.
        found: usize,
    },
}
