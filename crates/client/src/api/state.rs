use std::borrow::Cow;

use turnbench_model::{
    Answer, CachedByTier, CachedSource, Received, ServerTimes, StampSource, Stamps, Usage,
};

use crate::api::error_body::{looks_like_error, message_of};
use crate::api::json_text::{JsonText, text_of};
use crate::api::marks::MarkFinder;
use crate::api::shape::{TextEvent, TextKind};
use crate::api::tool_calls::ToolCalls;
use crate::api::verdict::{Complaints, verdict};
use crate::api::wire::{Choice, Chunk, Piece, usage_of};
use crate::api::{AnswerSpelling, Decoded};
use crate::response::RawResponse;
use crate::sse::Event;

/// What the events so far said.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Without its texts; its arrivals count from the epoch.
    answer: Answer,
    content: JsonText,
    reasoning: JsonText,
    tool_calls: ToolCalls,
    usage: Option<Usage>,
    cached: CachedElsewhere,
    server_times: Option<ServerTimes>,
    complaints: Complaints,
    events_count: u64,
    first_event: Option<Received>,
    first_token: Option<Received>,
    last_token: Option<Received>,
    done: Option<Received>,
}

/// Cached tokens that were told outside of the usage.
#[derive(Debug, Default)]
struct CachedElsewhere {
    by_tier: Option<CachedByTier>,
    llama: Option<u64>,
}

impl CachedElsewhere {
    /// The usage with what it lacks; the usage's own number goes first.
    fn into_usage(self, usage: Option<Usage>) -> Option<Usage> {
        let sum = self.by_tier.as_ref().map(|tiers| {
            let parts = [tiers.device, tiers.host, tiers.storage];
            parts.into_iter().flatten().fold(0_u64, u64::saturating_add)
        });
        let sum = sum.map(|tokens| (tokens, CachedSource::Tiers));
        let elsewhere = sum.or(self.llama.map(|tokens| (tokens, CachedSource::LlamaTimings)));
        let Some((tokens, source)) = elsewhere else { return usage };
        let mut usage = usage.unwrap_or_default();
        if usage.cached_tokens.is_none() {
            (usage.cached_tokens, usage.cached_source) = (Some(tokens), Some(source));
        }
        usage.cached_by_tier = self.by_tier;
        Some(usage)
    }
}

impl State {
    /// Whether `[DONE]` was seen.
    pub(crate) const fn is_done(&self) -> bool {
        self.done.is_some()
    }

    /// Notes what is not as the API promises.
    pub(crate) fn complain(&mut self, message: &str) {
        self.complaints.invalid.get_or_insert_with(|| message.to_owned());
    }

    /// Takes an event; hands out its text if it brought nothing else.
    pub(crate) fn event<'a>(
        &mut self,
        event: Event<'a>,
        finder: &mut MarkFinder,
    ) -> Option<TextEvent<'a>> {
        // Named events are extensions (such as SGLang's `sglext_ids`), apart from these.
        // After [DONE] everything has been said.
        if self.is_done() || !matches!(event.name, b"" | b"message" | b"error") {
            return None;
        }
        let received = self.count_event(finder.received(event.data_end))?;
        if event.name == b"error" && event.data.trim_ascii() != b"[DONE]" {
            let message = crate::api::error_message(event.data);
            self.complaints.error.get_or_insert(message.unwrap_or_default());
            return None;
        }
        match String::from_utf8_lossy(event.data) {
            Cow::Borrowed(text) => self.data(text, received),
            Cow::Owned(text) => {
                self.data(&text, received);
                None
            }
        }
    }

    /// Takes an event that brought a text (the inside of a JSON string) and no other news.
    pub(crate) fn text_event(&mut self, kind: TextKind, json: &str, received: Option<Received>) {
        let Some(received) = self.count_event(received) else { return };
        match kind {
            TextKind::Content => self.content.push(json),
            TextKind::Reasoning => self.reasoning.push(json),
        }
        if !json.is_empty() {
            self.token(received, || text_of(json).into_owned());
        }
    }

    /// Takes a usage as JSON.
    pub(crate) fn usage_text(&mut self, json: &str) {
        if let Ok(usage) = usage_of(json) {
            self.usage = Some(usage);
        }
    }

    fn count_event(&mut self, received: Option<Received>) -> Option<Received> {
        self.events_count += 1;
        self.first_event = self.first_event.or(received);
        received
    }

    fn data<'a>(&mut self, text: &'a str, received: Received) -> Option<TextEvent<'a>> {
        let text = text.trim();
        if text == "[DONE]" {
            self.done = Some(received);
            self.answer.done = true;
            return None;
        }
        if text.is_empty() { None } else { self.chunk(text, received) }
    }

    /// An event whose blank line never came. The standard discards it, but a server that merely
    /// omits the last line end has still said it in full; a cut one is no JSON and says nothing.
    pub(crate) fn unterminated(&mut self, event: Event<'_>, finder: &mut MarkFinder) {
        let text = event.data.trim_ascii();
        let is_whole = text == b"[DONE]" || serde_json::from_slice::<Chunk<'_>>(text).is_ok();
        if is_whole {
            self.event(event, finder);
        }
    }

    fn chunk<'a>(&mut self, text: &'a str, received: Received) -> Option<TextEvent<'a>> {
        match serde_json::from_str::<Chunk<'_>>(text) {
            Ok(chunk) => return self.take(&chunk, text, received),
            // A repeated key is no error for most parsers: the last one counts, as for `Value`.
            Err(error) => match serde_json::from_str::<serde_json::Value>(text) {
                Ok(value) if value.is_object() => {
                    let text = value.to_string();
                    match serde_json::from_str::<Chunk<'_>>(&text) {
                        Ok(chunk) => drop(self.take(&chunk, &text, received)),
                        Err(error) => self.invalid(&error, &text),
                    }
                }
                Ok(_) | Err(_) => self.invalid(&error, text),
            },
        }
        None
    }

    fn invalid(&mut self, error: &serde_json::Error, text: &str) {
        let start = &text[..text.floor_char_boundary(80)];
        self.complaints
            .invalid
            .get_or_insert_with(|| format!("not a chat response: {error}: `{start}`"));
    }

    fn take<'a>(
        &mut self,
        chunk: &Chunk<'a>,
        text: &str,
        received: Received,
    ) -> Option<TextEvent<'a>> {
        if let Some(usage) = &chunk.usage {
            self.usage = Some(usage.usage.clone());
        }
        if let Some(metrics) = &chunk.metrics {
            self.server_times = Some(metrics.0.clone());
        }
        if let Some(tiers) = chunk.sglext.as_ref().and_then(|extension| extension.0.as_ref()) {
            self.cached.by_tier = Some(tiers.clone());
        }
        if let Some(timings) = &chunk.timings {
            self.cached.llama = timings.cached_tokens.or(self.cached.llama);
        }
        if chunk.error.is_some() || (!chunk.choices.present && chunk.usage.is_none()) {
            let value = serde_json::from_str(text).unwrap_or_default();
            if looks_like_error(&value) {
                let message = message_of(&value).unwrap_or_else(|| text.to_owned());
                self.complaints.error.get_or_insert(message);
            }
        }
        let (kind, json) = self.choice(chunk.choices.first.as_ref()?, received)?;
        let brings_more = chunk.error.is_some()
            || chunk.metrics.is_some()
            || chunk.sglext.is_some()
            || chunk.timings.is_some();
        let usage = chunk.usage.as_ref().map(|usage| usage.json);
        (!brings_more).then_some(TextEvent { kind, json, usage })
    }

    /// Takes the answer's choice; hands out its text if it has one and nothing else.
    fn choice<'a>(
        &mut self,
        choice: &Choice<'a>,
        received: Received,
    ) -> Option<(TextKind, &'a str)> {
        let mut tool_text = String::new();
        let none = Piece::default();
        let piece = choice.delta.as_ref().or(choice.message.as_ref()).unwrap_or(&none);
        let Piece { content, reasoning, reasoning_content, tool_calls, function_call } = piece;
        let tool_calls = tool_calls.as_deref().unwrap_or_default();
        self.tool_calls.push(tool_calls, &mut tool_text);
        if let Some(function) = function_call {
            self.tool_calls.push_function(function, &mut tool_text);
        }
        // The same text under both names is one text.
        let reasoned = if reasoning.is_empty() { reasoning_content } else { reasoning };
        self.reasoning.push(reasoned.json());
        self.content.push(content.json());
        self.content.push(choice.text.json());
        let texts = [reasoned, content, &choice.text];
        if texts.iter().any(|text| !text.is_empty()) || !tool_text.is_empty() {
            let first_chunk = || {
                let [reasoned, content, text] = texts.map(|text| text.text());
                [&*reasoned, &*content, &*text, &*tool_text].concat()
            };
            self.token(received, first_chunk);
        }
        let reason = choice.finish_reason.text();
        if !reason.is_empty() && self.answer.finish_reason.is_none() {
            if matches!(&*reason, "abort" | "error") {
                let message = format!("the server ended the answer with finish_reason {reason}");
                self.complaints.error.get_or_insert(message);
            }
            self.answer.finish_reason = Some(reason.into_owned());
        }
        let is_text =
            tool_calls.is_empty() && function_call.is_none() && choice.finish_reason.is_empty();
        let all = [
            (TextKind::Reasoning, reasoning),
            (TextKind::Reasoning, reasoning_content),
            (TextKind::Content, content),
            (TextKind::Content, &choice.text),
        ];
        let mut found = all.iter().filter(|(_, text)| !text.is_empty());
        match (found.next(), found.next()) {
            (Some((kind, text)), None) if is_text => Some((*kind, text.borrowed()?)),
            _ => None,
        }
    }

    /// Notes the arrival of a token-carrying event.
    fn token(&mut self, received: Received, text: impl FnOnce() -> String) {
        if self.first_token.is_none() {
            self.answer.first_chunk = text();
            self.first_token = Some(received);
        }
        self.last_token = Some(received);
        if received.source == StampSource::User {
            self.answer.user_stamped_chunks.push(self.answer.chunks_ns.len() as u32);
        }
        self.answer.chunks_ns.push(received.at_ns);
        self.answer.chunk_delays_ns.push(received.delay());
    }

    /// Reads a plain answer; all of it counts as arrived at its end.
    pub(crate) fn plain(&mut self, bytes: &[u8], end: Option<Received>) {
        let Some(end) = end else { return };
        self.first_event = Some(end);
        self.events_count = 1;
        self.chunk(String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').trim(), end);
    }

    pub(crate) fn decoded(mut self, raw: &RawResponse, is_stream: bool) -> Decoded {
        if is_stream && self.events_count == 0 && raw.body.total_len() > 0 {
            let content_type = raw.head.as_ref().and_then(|head| head.content_type.as_deref());
            let content_type = content_type.unwrap_or("no content type");
            self.complaints.invalid = Some(format!("no event in the response ({content_type})"));
        }
        let mut answer = self.answer;
        let mut spelling = AnswerSpelling::default();
        (answer.content, spelling.content) = self.content.into_text();
        (answer.reasoning, spelling.reasoning) = self.reasoning.into_text();
        (answer.tool_calls, spelling.tool_calls) = self.tool_calls.into_values();
        let sent = raw.stamps.sent_ns.unwrap_or_default();
        for at in &mut answer.chunks_ns {
            *at = at.since(sent);
        }
        let outcome = verdict(raw, self.complaints, &answer, self.usage.as_ref(), is_stream);
        let stamps = Stamps {
            first_event: self.first_event,
            first_token: self.first_token,
            last_token: self.last_token,
            end: self.done.or(raw.stamps.end),
            ..raw.stamps.clone()
        };
        Decoded {
            outcome,
            answer,
            spelling,
            usage: self.cached.into_usage(self.usage),
            server_times: self.server_times.filter(|times| *times != ServerTimes::default()),
            stamps,
        }
    }
}
