use std::sync::Arc;

use serde_json::Value;

use crate::Message;

/// A tokenizer failed.
#[derive(Clone, Debug)]
pub struct TokenizerError {
    /// Why, in words.
    pub message: String,
}

impl std::fmt::Display for TokenizerError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for TokenizerError {}

/// Turns text into token ids and back. Implementations must be usable from many threads at once.
pub trait Tokenizer: Send + Sync {
    /// Token ids of `text`, without the special tokens that a model adds around a prompt.
    ///
    /// # Errors
    /// When the tokenizer (or the server behind it) fails.
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError>;

    /// Text of `ids`, special tokens kept. Incomplete UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// When an id is unknown, or the server behind it fails.
    fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError>;

    /// Number of tokens of `text`, without special tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    fn count(&self, text: &str) -> Result<u64, TokenizerError> {
        Ok(self.encode(text)?.len() as u64)
    }

    /// Number of ids: every id is below it.
    fn vocab_size(&self) -> u32;

    /// The bytes of one id, for tokenizers whose `decode` is these bytes one after another, read
    /// as UTF-8 with U+FFFD for what is incomplete; many pieces of one text can then be cut without
    /// decoding each. `None` for an unknown id, and always where decoding is anything else.
    fn token_bytes(&self, _id: u32) -> Option<Vec<u8>> {
        None
    }

    /// Whether nothing speaks against tokenizing the words of `text` apart, where they turn out to
    /// give the same ids as together. `false` where the text holds a token that only its
    /// surroundings show, such as a string of several words.
    fn takes_words_apart(&self, _text: &str) -> bool {
        false
    }

    /// Strings that stand for one token each and are found in a text, spelled as they are, before
    /// anything else happens to it, so that the text before and the text after may be tokenized apart.
    fn special_tokens(&self) -> &[String] {
        &[]
    }

    /// How many special tokens (such as BOS) the model's tokenizer puts around a text when it is
    /// asked to; [`Tokenizer::encode`] leaves them out.
    fn special_tokens_count(&self) -> u64 {
        0
    }
}

/// Renders messages to the text that a model is prompted with.
pub trait ChatTemplate: Send + Sync {
    /// The prompt text, ending with the generation prompt (the opening of the answer). `tools` is what
    /// the request has under that key.
    ///
    /// # Errors
    /// When the template rejects the messages.
    fn render(&self, messages: &[Message], tools: Option<&Value>)
    -> Result<String, TokenizerError>;
}

/// Turns messages into the ids of the prompt that a model gets for them.
pub trait PromptTokenizer: Tokenizer {
    /// Ids of the whole prompt, with the opening of the answer. `tools` is what the request has under
    /// that key.
    ///
    /// # Errors
    /// When the server behind it fails or rejects the messages.
    fn prompt_ids(
        &self,
        messages: &[Message],
        tools: Option<&Value>,
    ) -> Result<Vec<u32>, TokenizerError>;
}

impl<T: Tokenizer + ?Sized> Tokenizer for Arc<T> {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        (**self).encode(text)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        (**self).decode(ids)
    }

    fn count(&self, text: &str) -> Result<u64, TokenizerError> {
        (**self).count(text)
    }

    fn vocab_size(&self) -> u32 {
        (**self).vocab_size()
    }

    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        (**self).token_bytes(id)
    }

    fn takes_words_apart(&self, text: &str) -> bool {
        (**self).takes_words_apart(text)
    }

    fn special_tokens(&self) -> &[String] {
        (**self).special_tokens()
    }

    fn special_tokens_count(&self) -> u64 {
        (**self).special_tokens_count()
    }
}
