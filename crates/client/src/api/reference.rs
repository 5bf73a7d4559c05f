use serde_json::Value;
use turnbench_model::{
    Answer, Failure, FailureKind, Nanos, Outcome, Received, StampSource, Stamps,
};

use crate::api::marks::MarkFinder;
use crate::api::verdict::early_verdict;
use crate::error::TransportError;
use crate::response::RawResponse;

/// Longest line the reference's HTTP library hands out, in bytes (twice its read buffer).
const LINE_BYTES_MAX: usize = 2 * 256 * 1024;

/// How the reference takes a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReferenceEnd {
    /// A sample.
    Completed,
    /// A status other than 200, or a stream without content: the client goes on.
    Rejected,
    /// An exception, which ends the client.
    Raised {
        /// The Python exception's class.
        class: &'static str,
    },
}

/// A response as the reference reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceDecoded {
    /// How the reference takes it.
    pub end: ReferenceEnd,
    /// The same, as a record says it.
    pub outcome: Outcome,
    /// Content only. `chunks_ns` holds the content chunks; none for a plain answer, whose
    /// `first_chunk` is empty, too.
    pub answer: Answer,
    /// Stamps; `first_token` is the first non-empty content (plain answers: the end of the body), `end`
    /// is `[DONE]`, or else the end of the body.
    pub stamps: Stamps,
}

/// Reads a response by the rules of vLLM's `benchmark_serving_multi_turn.py`: line by line,
/// `data: ` cut off, content only; whatever else comes raises.
pub fn decode_reference(raw: &RawResponse, stream: bool) -> ReferenceDecoded {
    let mut reading = Reading {
        answer: Answer::default(),
        stamps: raw.stamps.clone(),
        done: None,
        at: Vec::new(),
    };
    let end = match (early_verdict(raw), &raw.error) {
        (Some(outcome), _) => {
            let rejected = raw.head.is_some() && raw.error.is_none();
            let end = if rejected { ReferenceEnd::Rejected } else { raised_by(raw.error.as_ref()) };
            return ReferenceDecoded {
                end,
                outcome,
                answer: reading.answer,
                stamps: reading.stamps,
            };
        }
        (None, error) => match (reading.lines(raw, stream), error) {
            (Err(class), _) => ReferenceEnd::Raised { class },
            (Ok(()), Some(error)) => raised_by(Some(error)),
            (Ok(()), None) if stream && reading.at.is_empty() => ReferenceEnd::Rejected,
            (Ok(()), None) => ReferenceEnd::Completed,
        },
    };
    reading.finish(raw, end)
}

fn raised_by(error: Option<&TransportError>) -> ReferenceEnd {
    let class = match error {
        Some(TransportError::Timeout { .. }) => "TimeoutError",
        Some(TransportError::Cancelled) => "CancelledError",
        Some(TransportError::Truncated | TransportError::Http(_)) => "ClientPayloadError",
        Some(TransportError::Read { .. } | TransportError::Write { .. }) => "ClientOSError",
        Some(TransportError::Closed) | None => "ServerDisconnectedError",
        Some(
            TransportError::Resolve { .. }
            | TransportError::Connect { .. }
            | TransportError::NoLocalPort { .. }
            | TransportError::ConnectTimeout { .. }
            | TransportError::Handshake { .. },
        ) => "ClientConnectorError",
    };
    ReferenceEnd::Raised { class }
}

struct Reading {
    answer: Answer,
    stamps: Stamps,
    done: Option<Received>,
    /// Arrivals of the content chunks.
    at: Vec<Received>,
}

impl Reading {
    fn lines(&mut self, raw: &RawResponse, stream: bool) -> Result<(), &'static str> {
        let mut finder = MarkFinder::default();
        finder.extend(&raw.body, false);
        let bytes = raw.body.bytes();
        let mut from = 0;
        while from < bytes.len() {
            let end = memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |at| from + at + 1);
            // The rest of a body that broke off is never handed out as a line.
            if end == bytes.len() && bytes[end - 1] != b'\n' && raw.error.is_some() {
                return Ok(());
            }
            if end - from > LINE_BYTES_MAX {
                return Err("ValueError");
            }
            let received = finder.received(end);
            self.line(&bytes[from..end], received, stream)?;
            from = end;
        }
        Ok(())
    }

    fn line(
        &mut self,
        line: &[u8],
        received: Option<Received>,
        stream: bool,
    ) -> Result<(), &'static str> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        let text = std::str::from_utf8(line).map_err(|_| "UnicodeDecodeError")?;
        let text = text.strip_prefix("data: ").unwrap_or(text);
        if text == "[DONE]" {
            self.answer.done = true;
            self.done = received;
            return Ok(());
        }
        let value: Value = serde_json::from_str(text).map_err(|_| "JSONDecodeError")?;
        let choices = value.as_object().ok_or("TypeError")?.get("choices").ok_or("KeyError")?;
        let choice = choices.as_array().ok_or("TypeError")?.first().ok_or("IndexError")?;
        let choice = choice.as_object().ok_or("TypeError")?;
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.answer.finish_reason = Some(reason.to_owned());
        }
        let key = if stream { "delta" } else { "message" };
        let piece = choice.get(key).ok_or("KeyError")?.as_object().ok_or("AttributeError")?;
        self.stamps.first_event = self.stamps.first_event.or(received);
        if stream { self.delta(piece, received) } else { self.message(piece) }
    }

    fn delta(
        &mut self,
        delta: &serde_json::Map<String, Value>,
        received: Option<Received>,
    ) -> Result<(), &'static str> {
        let content = match delta.get("content") {
            None | Some(Value::Null) => return Ok(()),
            Some(content) => content.as_str().ok_or("TypeError")?,
        };
        if content.is_empty() {
            return Ok(());
        }
        if self.at.is_empty() {
            content.clone_into(&mut self.answer.first_chunk);
            self.stamps.first_token = received;
        }
        self.stamps.last_token = received;
        self.at.push(received.unwrap_or(Received::user(Nanos::ZERO)));
        self.answer.content.push_str(content);
        Ok(())
    }

    fn message(&mut self, message: &serde_json::Map<String, Value>) -> Result<(), &'static str> {
        if message.get("role").ok_or("KeyError")? != "assistant" {
            return Err("AssertionError");
        }
        let content = message.get("content").ok_or("KeyError")?.as_str().ok_or("TypeError")?;
        self.answer.content.push_str(content);
        Ok(())
    }

    fn finish(mut self, raw: &RawResponse, end: ReferenceEnd) -> ReferenceDecoded {
        self.stamps.end = self.done.or(raw.stamps.end);
        if self.at.is_empty() && end == ReferenceEnd::Completed {
            self.stamps.first_token = raw.stamps.end;
            self.stamps.last_token = raw.stamps.end;
            self.stamps.end = raw.stamps.end;
        }
        let sent = raw.stamps.sent_ns.unwrap_or_default();
        self.answer.chunks_ns = self.at.iter().map(|it| it.at_ns.since(sent)).collect();
        self.answer.chunk_delays_ns = self.at.iter().map(|it| it.delay()).collect();
        let by_user = self.at.iter().zip(0_u32..).filter(|(it, _)| it.source == StampSource::User);
        self.answer.user_stamped_chunks = by_user.map(|(_, index)| index).collect();
        let message = match &end {
            ReferenceEnd::Completed => String::new(),
            ReferenceEnd::Rejected => "a stream without content".to_owned(),
            ReferenceEnd::Raised { class } => format!("the reference raises {class}"),
        };
        let outcome = match (&end, &raw.error) {
            (ReferenceEnd::Completed, _) => Outcome::Completed,
            (_, Some(error)) => Outcome::Failed(error.failure(raw.status())),
            (_, None) => Outcome::Failed(Failure {
                kind: FailureKind::Invalid,
                status: raw.status(),
                message,
                retry_after_ns: None,
            }),
        };
        ReferenceDecoded { end, outcome, answer: self.answer, stamps: self.stamps }
    }
}

#[cfg(test)]
mod tests;
