use serde_json::{Map, Value, json};
use turnbench_model::{Content, Conversation, Message, TurnRules, TurnSpan};

use super::{Layout, Sheet, WriteError, WriteReport, WriterOptions, lost, timing};

/// AIPerf's multi-turn rows (0.13), one a conversation: `{"session_id", "turns": [{"text", …}]}`.
///
/// A turn is what the user says: its texts, images, audio and videos, when it is sent (`timestamp`
/// or `delay`), how long the answer is (`output_length`; where only limits are known, these are
/// `extra`), and the request's keys as `extra`. Answers come from the server, so that recorded ones
/// are lost, but for their length if there is a tokenizer to count it; system messages, which are
/// no turns there, and what else a turn has no place for, too. A recorded model is lost because
/// AIPerf would send requests to it.
pub(super) struct AiPerfRows {
    options: WriterOptions,
}

impl AiPerfRows {
    pub(super) const fn new(options: WriterOptions) -> Self {
        Self { options }
    }

    fn turn(
        &self,
        conversation: &Conversation,
        turn: usize,
        span: &TurnSpan,
        report: &mut WriteReport,
    ) -> Result<Map<String, Value>, WriteError> {
        let mut row = Map::new();
        let messages = &conversation.messages[span.messages.clone()];
        put_content(&mut row, messages, report);
        let recorded = conversation.recorded_turn(turn).cloned().unwrap_or_default();
        timing::put_time(&mut row, turn, &recorded, report);
        let mut extra = conversation.request.clone();
        let (min, max) = (recorded.min_tokens, recorded.max_tokens);
        if let (Some(tokens), true) = (max, min == max) {
            row.insert("output_length".to_owned(), tokens.into());
        } else if min.is_some() || max.is_some() {
            // The row's own length is exact.
            for (key, tokens) in [("min_tokens", min), ("max_tokens", max)] {
                if let Some(tokens) = tokens {
                    extra.insert(key.to_owned(), tokens.into());
                }
            }
        } else if let Some(tokens) = self.answer_tokens(conversation, span)? {
            row.insert("output_length".to_owned(), tokens.into());
        }
        if !extra.is_empty() {
            row.insert("extra".to_owned(), Value::Object(extra));
        }
        Ok(row)
    }

    /// Tokens of a recorded answer, if there is a tokenizer to count them.
    fn answer_tokens(
        &self,
        conversation: &Conversation,
        span: &TurnSpan,
    ) -> Result<Option<u64>, WriteError> {
        let (Some(answer), Some(tokenizer)) = (span.answer, &self.options.tokenizer) else {
            return Ok(None);
        };
        let tokens = crate::message_tokens(&conversation.messages[answer], &**tokenizer);
        // No answer is shorter than one token.
        tokens.map(|tokens| Some(tokens.max(1))).map_err(|source| WriteError::Tokenizer {
            conversation: conversation.id.clone(),
            source,
        })
    }
}

impl Layout for AiPerfRows {
    fn write(&mut self, conversation: Conversation, sheet: &mut Sheet) -> Result<(), WriteError> {
        let spans = conversation.turns(TurnRules::default());
        if spans.is_empty() {
            sheet.report.lose(lost::without_turns(&conversation), 1);
            return Ok(());
        }
        lose_around_turns(&conversation, &spans, &mut sheet.report);
        let turns = spans
            .iter()
            .enumerate()
            .map(|(turn, span)| self.turn(&conversation, turn, span, &mut sheet.report))
            .collect::<Result<Vec<_>, _>>()?;
        sheet.line(&json!({"session_id": conversation.id, "turns": turns}))?;
        sheet.report.conversations += 1;
        Ok(())
    }
}

fn lose_around_turns(conversation: &Conversation, spans: &[TurnSpan], report: &mut WriteReport) {
    lost::lose_own(conversation, report);
    lost::lose_trace(conversation, report);
    report.lose(lost::MODELS, lost::turns(conversation, |turn| turn.model.is_some()));
    let answers = conversation.messages.iter().filter(|message| message.is_assistant());
    report.lose(lost::ANSWERS, answers.clone().count() as u64);
    let calls = answers.filter_map(|message| message.extra.get("tool_calls")?.as_array());
    report.lose(lost::TOOL_CALLS, calls.map(Vec::len).sum::<usize>() as u64);
    let end = spans.last().map_or(0, |span| span.answer.map_or(span.messages.end, |at| at + 1));
    let trailing = conversation.messages[end..].iter().filter(|message| !message.is_assistant());
    report.lose(lost::TRAILING, trailing.count() as u64);
}

fn put_content(row: &mut Map<String, Value>, messages: &[Message], report: &mut WriteReport) {
    let mut said = Said::default();
    let instructions = messages.iter().filter(|it| !it.is_assistant() && !it.asks()).count();
    report.lose(lost::SYSTEM, instructions as u64);
    let asking: Vec<&Message> = messages.iter().filter(|message| message.asks()).collect();
    for message in &asking {
        report.lose(lost::MESSAGE_KEYS, message.extra.len() as u64);
        match &message.content {
            Content::Text(text) => said.push(Kind::Text, text.clone()),
            Content::Parts(parts) => parts.iter().for_each(|part| said.push_part(part, report)),
            Content::Null => {}
        }
    }
    report.lose_if(said.is_mixed, lost::PARTS_ORDER);
    report.lose(lost::BORDERS_OF_MESSAGES, asking.len().saturating_sub(1) as u64);
    match &asking[..] {
        // Without its other keys (the id of the call that a tool answers) a role says too much.
        [message] if message.role != "user" && message.extra.is_empty() => {
            row.insert("role".to_owned(), message.role.as_str().into());
        }
        _ => {
            let others = asking.iter().filter(|message| message.role != "user");
            report.lose(lost::ROLES, others.count() as u64);
        }
    }
    said.put(row);
}

/// What a turn consists of, in the order in which AIPerf sends it.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Text,
    Image,
    Audio,
    Video,
}

/// Texts and media of a turn's messages, all as one message of the user.
#[derive(Default)]
struct Said {
    lists: [Vec<String>; 4],
    /// The kind of the last one.
    last: Option<Kind>,
    /// Whether AIPerf sends them in another order.
    is_mixed: bool,
}

impl Said {
    fn push(&mut self, kind: Kind, item: String) {
        self.is_mixed |= self.last.is_some_and(|last| kind < last);
        self.last = Some(kind);
        self.lists[kind as usize].push(item);
    }

    fn push_part(&mut self, part: &Value, report: &mut WriteReport) {
        let Some((kind, item, plain)) = said_by(part) else {
            report.lose(lost::PARTS, 1);
            return;
        };
        report.lose_if(plain != *part, lost::PART_KEYS);
        self.push(kind, item);
    }

    fn put(self, row: &mut Map<String, Value>) {
        let [mut texts, images, audios, videos] = self.lists;
        let is_empty = [&texts, &images, &audios, &videos].iter().all(|list| list.is_empty());
        if texts.len() == 1 || is_empty {
            row.insert("text".to_owned(), texts.pop().unwrap_or_default().into());
        }
        let lists = [("texts", texts), ("images", images), ("audios", audios), ("videos", videos)];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            row.insert(key.to_owned(), list.into());
        }
    }
}

/// What a content part says, and the part that says no more than that.
fn said_by(part: &Value) -> Option<(Kind, String, Value)> {
    let kind = part.get("type")?.as_str()?;
    let url = || part.get(kind)?.get("url")?.as_str();
    let media = |of: Kind| {
        let url = url()?;
        Some((of, url.to_owned(), json!({"type": kind, kind: {"url": url}})))
    };
    match kind {
        "text" => {
            let text = part.get("text")?.as_str()?;
            Some((Kind::Text, text.to_owned(), json!({"type": "text", "text": text})))
        }
        "image_url" => media(Kind::Image),
        "audio_url" => media(Kind::Audio),
        "video_url" => media(Kind::Video),
        "input_audio" => {
            let audio = part.get("input_audio")?;
            let (format, data) = (audio.get("format")?.as_str()?, audio.get("data")?.as_str()?);
            let plain = json!({"type": kind, kind: {"data": data, "format": format}});
            // AIPerf's spelling.
            Some((Kind::Audio, format!("{format},{data}"), plain))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use turnbench_model::{Content, Conversation, Message, Nanos, RecordedTurn};

    use crate::writer::testing::check as check_rows;
    use crate::writer::{Target, WriterOptions};
    use crate::{DecodeCleanup, TokenizerSpec, load_tokenizer};

    fn check(conversations: &[Conversation], rows: &[&str], lost: &[&str]) {
        check_rows(Target::AiPerf, WriterOptions::default(), conversations, rows, lost);
    }

    fn of_roles(roles: &[&str]) -> Conversation {
        let text = |(index, role): (usize, &&str)| Message::new(role, format!("t{index}"));
        Conversation::new("s", roles.iter().enumerate().map(text).collect())
    }

    #[test]
    fn a_turn_is_what_the_user_says_and_when() {
        let first = RecordedTurn { sent_at_ns: Some(Nanos(5_000_000)), ..RecordedTurn::default() };
        let second =
            RecordedTurn { think_time_ns: Some(Nanos(500_000)), ..RecordedTurn::default() };
        let recorded =
            vec![first.with_answer_tokens(9), RecordedTurn { max_tokens: Some(8), ..second }];
        let request = [("temperature".to_owned(), json!(0.5))].into_iter().collect();
        let conversation =
            Conversation { recorded, request, ..of_roles(&["user", "assistant", "user"]) };
        check(
            &[conversation],
            &[concat!(
                r#"{"session_id":"s","turns":["#,
                r#"{"text":"t0","timestamp":5,"output_length":9,"extra":{"temperature":0.5}},"#,
                r#"{"text":"t2","delay":0.5,"extra":{"temperature":0.5,"max_tokens":8}}]}"#,
            )],
            &["recorded answers of turns: 1"],
        );
    }

    #[test]
    fn other_roles_are_left_out_or_become_the_users() {
        let roles = ["system", "user", "user", "assistant", "tool", "assistant", "tool", "system"];
        let mut conversation = of_roles(&roles);
        conversation.messages[4].extra =
            [("tool_call_id".to_owned(), json!("1"))].into_iter().collect();
        check(
            &[conversation],
            &[concat!(
                r#"{"session_id":"s","turns":[{"texts":["t1","t2"]},{"text":"t4"},"#,
                r#"{"role":"tool","text":"t6"}]}"#,
            )],
            &[
                "recorded answers of turns: 2",
                "system messages: 2",
                "borders between messages of a turn: 1",
                "keys of messages: 1",
                "roles of messages sent as the user's: 1",
            ],
        );
        check(
            &[of_roles(&["user", "assistant", "system"])],
            &[r#"{"session_id":"s","turns":[{"text":"t0"}]}"#],
            &["recorded answers of turns: 1", "messages after the last turn: 1"],
        );
        check(&[of_roles(&["system"])], &[], &["conversations without a message to answer: 1"]);
    }

    #[test]
    fn parts_become_texts_images_and_audio() {
        let parts = vec![
            json!({"type": "text", "text": "a"}),
            json!({"type": "image_url", "image_url": {"url": "http://i", "detail": "low"}}),
            json!({"type": "input_audio", "input_audio": {"format": "wav", "data": "AAA="}}),
            json!({"type": "file", "file": {}}),
        ];
        let message =
            |parts| Message { content: Content::Parts(parts), ..Message::new("user", "") };
        let mixed = parts[1..].iter().chain(&parts[..1]).cloned().collect();
        check(
            &[Conversation::new("s", vec![message(parts)])],
            &[concat!(
                r#"{"session_id":"s","turns":[{"text":"a","images":["http://i"],"#,
                r#""audios":["wav,AAA="]}]}"#,
            )],
            &["keys of content parts: 1", "content parts: 1"],
        );
        check(
            &[Conversation::new("s", vec![message(mixed)])],
            &[concat!(
                r#"{"session_id":"s","turns":[{"text":"a","images":["http://i"],"#,
                r#""audios":["wav,AAA="]}]}"#,
            )],
            &["keys of content parts: 1", "content parts: 1", "order of content parts: 1"],
        );
    }

    #[test]
    fn a_tokenizer_keeps_the_length_of_a_recorded_answer() {
        let spec = TokenizerSpec::parse("builtin:o200k_base").unwrap();
        let tokenizer: Arc<_> = load_tokenizer(&spec, DecodeCleanup::Auto).unwrap().tokenizer;
        let options = WriterOptions { tokenizer: Some(tokenizer), ..WriterOptions::default() };
        let answer = Message::new("assistant", "one two three");
        let conversation = Conversation::new("s", vec![Message::new("user", "x"), answer]);
        check_rows(
            Target::AiPerf,
            options,
            &[conversation],
            &[r#"{"session_id":"s","turns":[{"text":"x","output_length":3}]}"#],
            &["recorded answers of turns: 1"],
        );
    }
}
