use std::collections::BTreeMap;

use turnbench_model::{ChatTemplate, Conversation, Tokenizer, TokenizerError, TurnSpan};
use turnbench_prompt::PieceTokenizer;

use super::facts::{ConversationFacts, RULES, RequestFacts};
use super::sequence::SequenceBuilder;
use crate::message_text::message_texts;

/// How the prompts of conversations with messages are made.
#[derive(Clone, Copy)]
pub(crate) struct Prompts<'a> {
    pub(crate) pieces: &'a PieceTokenizer<&'a dyn Tokenizer>,
    pub(crate) template: Option<&'a dyn ChatTemplate>,
    /// Ascending.
    pub(crate) block_sizes: &'a [u32],
}

/// A conversation in tokens.
struct Tokens<'a> {
    conversation: &'a Conversation,
    index: usize,
    /// The tools, which stand before every prompt.
    tools: Vec<u32>,
    /// The ids of each distinct message, and which of them each message is.
    distinct: Vec<Vec<u32>>,
    of_message: Vec<usize>,
}

impl Prompts<'_> {
    /// The facts of a conversation; the `index` is its place in the workload.
    pub(crate) fn facts(
        &self,
        index: usize,
        conversation: &Conversation,
    ) -> Result<ConversationFacts, TokenizerError> {
        let tokens = Tokens::new(index, conversation, self.pieces)?;
        let spans = conversation.turns(RULES);
        let mut facts = match self.template {
            None => self.concatenated(&tokens, &spans),
            Some(template) => match self.templated(&tokens, &spans, template)? {
                Some(facts) => facts,
                None => ConversationFacts { rejected: true, ..self.concatenated(&tokens, &spans) },
            },
        };
        let count =
            |&distinct: &usize| u32::try_from(tokens.distinct[distinct].len()).unwrap_or(u32::MAX);
        facts.message_tokens = tokens.of_message.iter().map(count).collect();
        Ok(facts)
    }

    /// Messages one after another: each prompt continues the last one and its answer.
    fn concatenated(&self, tokens: &Tokens<'_>, spans: &[TurnSpan]) -> ConversationFacts {
        let mut facts = ConversationFacts::default();
        let mut open: Option<SequenceBuilder> = None;
        for (turn, span) in spans.iter().enumerate() {
            if span.standalone {
                facts.sequences.extend(open.take().map(SequenceBuilder::finish));
            }
            let continues = open.is_some();
            let sequence = open.get_or_insert_with(|| self.begin(tokens));
            for message in span.messages.clone() {
                sequence.push_all(tokens.message(message));
            }
            if continues && let Some(before) = facts.requests.last_mut() {
                before.tails.clear();
            }
            ask(&mut facts, tokens, (turn, span), sequence);
        }
        facts.sequences.extend(open.map(SequenceBuilder::finish));
        facts
    }

    fn begin(&self, tokens: &Tokens<'_>) -> SequenceBuilder {
        let mut sequence = SequenceBuilder::new(self.block_sizes);
        sequence.push_all(&tokens.tools);
        sequence
    }

    /// Each prompt rendered as a whole; `None` when the template rejects one.
    fn templated(
        &self,
        tokens: &Tokens<'_>,
        spans: &[TurnSpan],
        template: &dyn ChatTemplate,
    ) -> Result<Option<ConversationFacts>, TokenizerError> {
        let mut facts = ConversationFacts::default();
        let mut start = 0;
        let mut before: Vec<u32> = Vec::new();
        for (turn, span) in spans.iter().enumerate() {
            if span.standalone {
                start = span.messages.start;
            }
            let messages = &tokens.conversation.messages[start..span.messages.end];
            let tools = tokens.conversation.request.get("tools");
            let Ok(text) = template.render(messages, tools) else { return Ok(None) };
            let ids = self.pieces.encode_text(&text)?;
            let mut sequence = SequenceBuilder::new(self.block_sizes);
            sequence.push_all(&ids);
            if ids.starts_with(&before)
                && let Some(before) = facts.requests.last_mut()
            {
                before.tails.clear();
            }
            ask(&mut facts, tokens, (turn, span), &mut sequence);
            facts.sequences.push(sequence.finish());
            before = ids;
        }
        Ok(Some(facts))
    }
}

/// Takes in a turn's request, whose prompt is what `sequence` holds, and lets its answer follow.
fn ask(
    facts: &mut ConversationFacts,
    tokens: &Tokens<'_>,
    (turn, span): (usize, &TurnSpan),
    sequence: &mut SequenceBuilder,
) {
    let mut request = tokens.request(turn, span);
    request.sample.prompt_tokens = Some(sequence.tokens());
    request.sequence = Some(facts.sequences.len());
    request.tails = sequence.tails();
    if let Some(answer) = span.answer {
        sequence.push_all(tokens.message(answer));
    }
    facts.requests.push(request);
}

impl<'a> Tokens<'a> {
    /// Tokenizes every message once, and messages that are alike once together.
    fn new(
        index: usize,
        conversation: &'a Conversation,
        pieces: &PieceTokenizer<&dyn Tokenizer>,
    ) -> Result<Self, TokenizerError> {
        let tools = match conversation.request.get("tools") {
            Some(tools) => pieces.encode_pieces(&[tools.to_string()])?,
            None => Vec::new(),
        };
        let mut known: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        let mut distinct: Vec<Vec<u32>> = Vec::new();
        let mut of_message = Vec::with_capacity(conversation.messages.len());
        for message in &conversation.messages {
            let texts = message_texts(message);
            if let Some(&place) = known.get(&texts) {
                of_message.push(place);
                continue;
            }
            let ids = pieces.encode_pieces(&texts)?;
            of_message.push(distinct.len());
            known.insert(texts, distinct.len());
            distinct.push(ids);
        }
        Ok(Self { conversation, index, tools, distinct, of_message })
    }

    fn message(&self, message: usize) -> &[u32] {
        &self.distinct[self.of_message[message]]
    }

    /// A turn's request, as far as it doesn't depend on how prompts are made.
    fn request(&self, turn: usize, span: &TurnSpan) -> RequestFacts {
        let recorded = self.conversation.recorded_turn(turn);
        let mut request = RequestFacts::recorded(self.index, turn, recorded);
        let tools = if turn == 0 { self.tools.len() } else { 0 };
        let added = span.messages.clone().map(|message| self.message(message).len());
        let new_tokens = added.sum::<usize>() + tools;
        request.sample.new_tokens = (turn == 0 || !span.standalone).then_some(new_tokens as u64);
        request.sample.answer_tokens = span.answer.map(|answer| self.message(answer).len() as u64);
        request.answer_known = true;
        request
    }
}
