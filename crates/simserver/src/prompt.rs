use std::sync::Arc;

use turnbench_model::{ChatTemplate, Message, Tokenizer, TokenizerError};
use turnbench_prompt::PieceTokenizer;

/// Ids that the memo of tokenized texts holds: 32 MiB.
const MEMO_IDS_MAX: usize = 8 << 20;
/// New text up to this size is tokenized at once, beyond it on another thread: byte-pair
/// tokenizers do some MB/s, so this is about a millisecond.
const INLINE_BYTES_MAX: usize = 4 << 10;

/// Turns messages and texts into prompt ids.
///
/// Without a template, a message becomes `<|im_start|>ROLE\nTEXT<|im_end|>\n` and the prompt ends with
/// `<|im_start|>assistant\n`. Opening, text and ending are tokenized apart, so that the ids of a
/// longer history start with the ids of the shorter one and of the answer to it.
pub(crate) struct Prompts {
    pieces: PieceTokenizer<Arc<dyn Tokenizer>>,
    template: Option<Arc<dyn ChatTemplate>>,
}

impl Prompts {
    /// Renders with `template`, or else with the built-in one.
    pub(crate) fn new(
        tokenizer: Arc<dyn Tokenizer>,
        template: Option<Arc<dyn ChatTemplate>>,
    ) -> Self {
        Self { pieces: PieceTokenizer::new(tokenizer, MEMO_IDS_MAX), template }
    }

    /// Text for ids.
    pub(crate) fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.pieces.tokenizer().decode(ids)
    }

    /// Number of ids that the tokenizer knows.
    pub(crate) fn vocab_size(&self) -> u32 {
        self.pieces.tokenizer().vocab_size()
    }

    /// Whether the built-in template renders.
    pub(crate) fn is_built_in(&self) -> bool {
        self.template.is_none()
    }

    /// The prompt of a conversation, in pieces that are tokenized one by one. `open` adds the
    /// opening of the answer; a given template always adds it.
    pub(crate) fn render(
        &self,
        messages: &[Message],
        open: bool,
    ) -> Result<Vec<String>, TokenizerError> {
        let Some(template) = &self.template else { return Ok(built_in(messages, open)) };
        let text = template.render(messages, None)?;
        Ok(self.pieces.pieces(&text)?.into_iter().map(str::to_owned).collect())
    }

    /// Ids of all pieces, one after another. Long new texts are tokenized on another thread, so
    /// that they hold up no stream.
    pub(crate) async fn encode(
        self: &Arc<Self>,
        pieces: Vec<String>,
    ) -> Result<Arc<[u32]>, TokenizerError> {
        if self.pieces.unknown_bytes(&pieces) <= INLINE_BYTES_MAX {
            return self.encode_now(&pieces);
        }
        let prompts = Arc::clone(self);
        match tokio::task::spawn_blocking(move || prompts.encode_now(&pieces)).await {
            Ok(ids) => ids,
            Err(error) => Err(TokenizerError { message: error.to_string() }),
        }
    }

    fn encode_now(&self, pieces: &[String]) -> Result<Arc<[u32]>, TokenizerError> {
        self.pieces.encode_pieces(pieces).map(Arc::from)
    }
}

fn built_in(messages: &[Message], open: bool) -> Vec<String> {
    let mut pieces = Vec::with_capacity(messages.len() * 3 + 1);
    for message in messages {
        pieces.push(format!("<|im_start|>{}\n", message.role));
        let mut text = message.content.text();
        if let Some(calls) = message.extra.get("tool_calls").filter(|calls| !calls.is_null()) {
            text.push_str(&calls.to_string());
        }
        if !text.is_empty() {
            pieces.push(text);
        }
        pieces.push("<|im_end|>\n".to_owned());
    }
    if open {
        pieces.push("<|im_start|>assistant\n".to_owned());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Prompts;
    use crate::words::WordTokenizer;
    use turnbench_model::{ChatTemplate, Message, TokenizerError};

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn ids(prompts: &Arc<Prompts>, messages: &[Message]) -> Vec<u32> {
        let pieces = prompts.render(messages, true).unwrap();
        block_on(prompts.encode(pieces)).unwrap().to_vec()
    }

    #[test]
    fn a_longer_history_starts_with_the_shorter_one_and_its_answer() {
        let tokenizer = Arc::new(WordTokenizer::new());
        let prompts = Arc::new(Prompts::new(tokenizer.clone(), None));
        let question = Message::new("user", "the king of the land");
        let short = ids(&prompts, std::slice::from_ref(&question));
        let answer = Message::new("assistant", " ab cd ef");
        let long = ids(&prompts, &[question, answer, Message::new("user", "and then")]);
        let expect =
            [short, turnbench_model::Tokenizer::encode(&*tokenizer, " ab cd ef").unwrap()].concat();
        assert_eq!(long[..expect.len()], expect);
    }

    #[test]
    fn long_new_texts_give_the_same_ids_on_another_thread() {
        let prompts = Arc::new(Prompts::new(Arc::new(WordTokenizer::new()), None));
        let text = " ab cd".repeat(super::INLINE_BYTES_MAX / 4);
        let messages = [Message::new("user", text)];
        let first = ids(&prompts, &messages);
        assert_eq!(prompts.pieces.unknown_bytes(&prompts.render(&messages, true).unwrap()), 0);
        assert_eq!(first, ids(&prompts, &messages));
    }

    #[test]
    fn a_template_is_cut_at_special_tokens() {
        struct Fixed;
        impl ChatTemplate for Fixed {
            fn render(
                &self,
                messages: &[Message],
                _tools: Option<&serde_json::Value>,
            ) -> Result<String, TokenizerError> {
                Ok(messages.iter().map(|message| message.content.text()).collect())
            }
        }
        let prompts = Prompts::new(Arc::new(WordTokenizer::new()), Some(Arc::new(Fixed)));
        let render = |text: &str| prompts.render(&[Message::new("user", text)], true).unwrap();
        assert_eq!(render("a<|eot|>b<|no such|> c"), ["a", "<|eot|>", "b<|no such|> c"]);
    }
}
