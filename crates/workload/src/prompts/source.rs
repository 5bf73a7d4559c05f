use serde_json::Value;
use turnbench_model::{ChatTemplate, Message, PromptTokenizer, Tokenizer, TokenizerError};
use turnbench_prompt::PieceTokenizer;

use super::piece_tokenizer;
use crate::message_text::message_texts;

/// Where the ids of a run's prompts come from.
#[derive(Clone, Copy)]
pub enum PromptSource<'a> {
    /// A local tokenizer, on prompts as the model's chat template renders them.
    Template(&'a dyn Tokenizer, &'a dyn ChatTemplate),
    /// The server's own `/tokenize`, for the messages.
    Server(&'a dyn PromptTokenizer),
    /// A local tokenizer, on the messages one after another: about as long as the prompt, with other
    /// block boundaries.
    Messages(&'a dyn Tokenizer),
}

/// Makes ids of messages.
pub(crate) struct PromptIds<'a> {
    source: PromptSource<'a>,
    pieces: PieceTokenizer<&'a dyn Tokenizer>,
}

impl<'a> PromptIds<'a> {
    pub(crate) fn new(source: PromptSource<'a>) -> Self {
        let tokenizer: &'a dyn Tokenizer = match source {
            PromptSource::Template(tokenizer, _) | PromptSource::Messages(tokenizer) => tokenizer,
            PromptSource::Server(server) => server,
        };
        Self { source, pieces: piece_tokenizer(tokenizer) }
    }

    /// Ids of the prompt for `messages`; `None` when the chat template rejects them.
    pub(crate) fn prompt(
        &self,
        messages: &[Message],
        tools: Option<&Value>,
    ) -> Result<Option<Vec<u32>>, TokenizerError> {
        match self.source {
            PromptSource::Template(_, template) => match template.render(messages, tools) {
                Ok(text) => self.pieces.encode_text(&text).map(Some),
                Err(_) => Ok(None),
            },
            PromptSource::Server(server) => server.prompt_ids(messages, tools).map(Some),
            PromptSource::Messages(_) => self.joined(messages, tools).map(Some),
        }
    }

    /// Ids of the messages one after another.
    pub(crate) fn joined(
        &self,
        messages: &[Message],
        tools: Option<&Value>,
    ) -> Result<Vec<u32>, TokenizerError> {
        let tools = tools.map(ToString::to_string);
        let texts = tools.into_iter().chain(messages.iter().flat_map(message_texts));
        self.pieces.encode_pieces(&texts.collect::<Vec<_>>())
    }

    /// Ids of an answer's text.
    pub(crate) fn answer(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.pieces.encode_text(text)
    }
}
