use std::io::Write;
use std::sync::Arc;

use super::answer::Answer;
use super::reel::{CREATED_BLANK, NUMBER_BLANK, Reel, Signature};
use super::replies::Replies;
use crate::engine::FinishReason;
use crate::http::{Api, DONE, EventEncoder, Meta, StreamFlags, Usage};

/// The tokens of an answer, again and again. Of the usual lengths, one with an escape.
const WORDS: [&str; 64] = [
    " the",
    " river",
    " runs",
    " slowly",
    " past",
    " a",
    " village",
    ",",
    " and",
    " in",
    " spring",
    " its",
    " water",
    " carries",
    " leaves",
    " from",
    " the",
    " mountains",
    ".",
    "\n\n",
    " People",
    " say",
    " that",
    " someone",
    " who",
    " listens",
    " long",
    " enough",
    " can",
    " hear",
    " names",
    " in",
    " it",
    ";",
    " nobody",
    " remembers",
    " whose",
    " they",
    " were",
    ".",
    " Still",
    ",",
    " every",
    " evening",
    " an",
    " old",
    " fisherman",
    " sits",
    " on",
    " the",
    " bank",
    " with",
    " his",
    " dog",
    " and",
    " waits",
    " for",
    " the",
    " light",
    " to",
    " change",
    " colour",
    " again",
    ".",
];

/// The text of an answer of `tokens` tokens.
pub(crate) fn text(tokens: u32) -> String {
    WORDS.iter().cycle().take(tokens as usize).copied().collect()
}

/// The prebuilt events of streamed answers.
#[derive(Debug)]
pub(crate) struct Script {
    events_per_write: u32,
    chat: Part,
    completion: Part,
    /// A write that is more than events from the reel, while it is handed on.
    scratch: Vec<u8>,
}

/// Of one endpoint.
#[derive(Debug)]
struct Part {
    /// The event before the first token, if the endpoint has one.
    opening: Option<Reel>,
    /// A token each: all words, then again as many as a write may take beyond the last word.
    tokens: Reel,
    /// Each word as the last one, with a usage event to follow and without.
    last: [Reel; 2],
    /// The usage event up to its counts, without framing.
    usage_head: Reel,
    usage_tail: String,
    /// The usage event, while it is made.
    usage: String,
    /// The end mark and the end of the body.
    done: Vec<u8>,
}

impl Script {
    /// Builds the events for answers by `model`.
    pub(crate) fn new(model: &str, fingerprint: &str, events_per_write: u32) -> Self {
        let part = |api| Part::new(api, model, fingerprint, events_per_write as usize);
        Self {
            events_per_write,
            chat: part(Api::Chat),
            completion: part(Api::Completion),
            scratch: Vec::new(),
        }
    }

    /// The bytes of the answer's next write, and its tokens. The same each time, until the
    /// answer has gone on.
    pub(crate) fn next_write(
        &mut self,
        api: Api,
        answer: &Answer,
        replies: &mut Replies,
    ) -> (&[u8], u32) {
        let part = match api {
            Api::Chat => &mut self.chat,
            Api::Completion => &mut self.completion,
        };
        let tokens = self.events_per_write.min(answer.tokens - answer.written);
        let first = answer.written as usize % WORDS.len();
        let (opens, ends) = (answer.written == 0, answer.written + tokens == answer.tokens);
        if !opens && !ends {
            return (part.tokens.signed(first, tokens as usize, &answer.signature), tokens);
        }
        let out = &mut self.scratch;
        out.clear();
        if opens {
            replies.push_stream_head(answer.created, answer.close, out);
            if let Some(opening) = &mut part.opening {
                out.extend_from_slice(opening.signed(0, 1, &answer.signature));
            }
        }
        let plain = tokens as usize - usize::from(ends);
        out.extend_from_slice(part.tokens.signed(first, plain, &answer.signature));
        if ends {
            part.push_end(answer, out);
        }
        (out, tokens)
    }
}

impl Part {
    fn new(api: Api, model: &str, fingerprint: &str, events_per_write: usize) -> Self {
        let meta = Meta {
            id: format!("{}raw-{NUMBER_BLANK}", api.id_prefix()),
            created: CREATED_BLANK,
            model: model.into(),
            fingerprint: fingerprint.into(),
        };
        let encoder = |include_usage| {
            let flags = StreamFlags { include_usage, continuous_usage: false };
            let mut encoder = EventEncoder::new(api, meta.clone(), flags, Arc::from([]), false);
            let opening = encoder.opening();
            (encoder, opening)
        };
        let (mut plain, opening) = encoder(false);
        let (mut before_usage, _) = encoder(true);
        let mut tokens = Reel::new();
        for word in WORDS.iter().cycle().take(WORDS.len() + events_per_write) {
            tokens.push(&chunk(&plain.part(word, &[], None)));
        }
        let mut last = [Reel::new(), Reel::new()];
        for word in WORDS {
            for (reel, encoder) in last.iter_mut().zip([&mut plain, &mut before_usage]) {
                reel.push(&chunk(&encoder.part(word, &[], Some(FinishReason::Length))));
            }
        }
        let mut usage_head = Reel::new();
        usage_head.push(format!("data: {}]", meta.open(api.event_object())).as_bytes());
        let mut usage_tail = String::new();
        meta.push_fingerprint(&mut usage_tail);
        usage_tail.push_str("}\n\n");
        let opening = opening.map(|event| {
            let mut reel = Reel::new();
            reel.push(&chunk(&event));
            reel
        });
        let done = [&chunk(DONE)[..], b"0\r\n\r\n"].concat();
        Self { opening, tokens, last, usage_head, usage_tail, usage: String::new(), done }
    }

    /// The last token's event and all that follows it.
    fn push_end(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        let word = (answer.tokens as usize - 1) % WORDS.len();
        let last = &mut self.last[usize::from(answer.include_usage)];
        out.extend_from_slice(last.signed(word, 1, &answer.signature));
        if answer.include_usage {
            self.push_usage(answer, &answer.signature, out);
        }
        out.extend_from_slice(&self.done);
    }

    fn push_usage(&mut self, answer: &Answer, signature: &Signature, out: &mut Vec<u8>) {
        let usage = Usage {
            prompt_tokens: answer.prompt_tokens,
            completion_tokens: answer.tokens,
            cache: None,
        };
        self.usage.clear();
        usage.push_final(&mut self.usage);
        let head = self.usage_head.signed(0, 1, signature);
        let len = head.len() + self.usage.len() + self.usage_tail.len();
        // A vector takes all that is written to it.
        let _ = write!(out, "{len:x}\r\n");
        out.extend_from_slice(head);
        out.extend_from_slice(self.usage.as_bytes());
        out.extend_from_slice(self.usage_tail.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// An HTTP chunk.
fn chunk(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}
