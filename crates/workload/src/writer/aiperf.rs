use serde_json::{Map, Value, json};
use turnbench_model::{Content, Conversation, Message, RecordedTurn, TurnRules, TurnSpan};

use super::{Layout, Sheet, WriteError, WriteReport, WriterOptions, lost, timing};

/// AIPerf's multi-turn rows (0.13), one a conversation: `{"session_id", "turns": [{"text", …}]}`.
///
/// A turn is what the user says: its texts, images and audio, when it is sent (`timestamp` or
/// `delay`), how long the answer may be, and the request's keys as `extra`. Answers come from the
/// server, so that recorded ones are lost, but for their length if there is a tokenizer to count
/// it; system messages, which are no turns there, and what else a turn has no place for, too.
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
        if let Some(tokens) = self.answer_tokens(conversation, span, &recorded)? {
            row.insert("output_length".to_owned(), tokens);
        }
        let (min, max) = (recorded.min_tokens, recorded.max_tokens);
        report.lose_if(min.is_some() && min != max, lost::MIN_TOKENS);
        if !conversation.request.is_empty() {
            row.insert("extra".to_owned(), Value::Object(conversation.request.clone()));
        }
        Ok(row)
    }

    fn answer_tokens(
        &self,
        conversation: &Conversation,
        span: &TurnSpan,
        recorded: &RecordedTurn,
    ) -> Result<Option<Value>, WriteError> {
        if let Some(tokens) = recorded.max_tokens {
            return Ok(Some(tokens.into()));
        }
        let (Some(answer), Some(tokenizer)) = (span.answer, &self.options.tokenizer) else {
            return Ok(None);
        };
        let tokens = crate::message_tokens(&conversation.messages[answer], &**tokenizer);
        let conversation = || conversation.id.clone();
        let tokens = tokens
            .map_err(|source| WriteError::Tokenizer { conversation: conversation(), source })?;
        // No answer is shorter than one token.
        Ok(Some(tokens.max(1).into()))
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

/// Texts and media of a turn's messages, all as one message of the user.
#[derive(Default)]
struct Said {
    texts: Vec<String>,
    images: Vec<String>,
    audios: Vec<String>,
    videos: Vec<String>,
    /// Whether a text follows something else, which comes after all texts when AIPerf sends it.
    is_mixed: bool,
}

fn put_content(row: &mut Map<String, Value>, messages: &[Message], report: &mut WriteReport) {
    let mut said = Said::default();
    let mut roles = Vec::new();
    for message in messages.iter().filter(|message| !message.is_assistant()) {
        if !message.asks() {
            report.lose(lost::SYSTEM, 1);
            continue;
        }
        report.lose(lost::MESSAGE_KEYS, message.extra.len() as u64);
        roles.push(message.role.as_str());
        match &message.content {
            Content::Text(text) => said.text(text),
            Content::Parts(parts) => {
                for part in parts {
                    said.part(part, report);
                }
            }
            Content::Null => {}
        }
    }
    report.lose_if(said.is_mixed, lost::PARTS_ORDER);
    report.lose(lost::ROLES, roles.iter().filter(|&&role| role != "user").count() as u64);
    report.lose(lost::BORDERS_OF_MESSAGES, roles.len().saturating_sub(1) as u64);
    let text = if said.texts.len() == 1 { said.texts.pop() } else { None };
    if let Some(text) = text {
        row.insert("text".to_owned(), Value::String(text));
    }
    let lists = [
        ("texts", said.texts),
        ("images", said.images),
        ("audios", said.audios),
        ("videos", said.videos),
    ];
    for (key, list) in lists {
        if !list.is_empty() {
            row.insert(key.to_owned(), list.into());
        }
    }
    if row.is_empty() {
        row.insert("text".to_owned(), "".into());
    }
}

impl Said {
    fn text(&mut self, text: &str) {
        let media = [&self.images, &self.audios, &self.videos];
        self.is_mixed |= media.iter().any(|list| !list.is_empty());
        self.texts.push(text.to_owned());
    }

    fn part(&mut self, part: &Value, report: &mut WriteReport) {
        let url = |key: &str| part.get(key)?.get("url")?.as_str().map(str::to_owned);
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        let place = match kind {
            "image_url" => url("image_url").map(|url| (&mut self.images, url)),
            "video_url" => url("video_url").map(|url| (&mut self.videos, url)),
            "input_audio" => audio(part).map(|audio| (&mut self.audios, audio)),
            _ => None,
        };
        match (place, part.get("text").and_then(Value::as_str)) {
            (Some((list, item)), _) => list.push(item),
            (None, Some(text)) if kind == "text" => self.text(text),
            (None, _) => report.lose(lost::PARTS, 1),
        }
    }
}

/// AIPerf's spelling of audio: the format, a comma, the base64 text.
fn audio(part: &Value) -> Option<String> {
    let audio = part.get("input_audio")?;
    let (format, data) = (audio.get("format")?.as_str()?, audio.get("data")?.as_str()?);
    Some(format!("{format},{data}"))
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
                r#"{"text":"t2","delay":0.5,"output_length":8,"extra":{"temperature":0.5}}]}"#,
            )],
            &["recorded answers of turns: 1"],
        );
    }

    #[test]
    fn other_roles_are_left_out_or_become_the_users() {
        check(
            &[of_roles(&["system", "user", "user", "assistant", "tool", "assistant", "system"])],
            &[r#"{"session_id":"s","turns":[{"texts":["t1","t2"]},{"text":"t4"}]}"#],
            &[
                "recorded answers of turns: 2",
                "messages after the last turn: 1",
                "system messages: 1",
                "borders between messages of a turn: 1",
                "roles of messages sent as the user's: 1",
            ],
        );
        check(&[of_roles(&["system"])], &[], &["conversations without a message to answer: 1"]);
    }

    #[test]
    fn parts_become_texts_images_and_audio() {
        let parts = vec![
            json!({"type": "text", "text": "a"}),
            json!({"type": "image_url", "image_url": {"url": "http://i"}}),
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
            &["content parts: 1"],
        );
        check(
            &[Conversation::new("s", vec![message(mixed)])],
            &[concat!(
                r#"{"session_id":"s","turns":[{"text":"a","images":["http://i"],"#,
                r#""audios":["wav,AAA="]}]}"#,
            )],
            &["content parts: 1", "order of content parts: 1"],
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
