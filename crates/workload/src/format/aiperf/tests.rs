use proptest::prelude::*;
use serde_json::{Value, json};
use turnbench_model::{Content, Conversation, Nanos, TurnRules};

use super::FORMAT;
use crate::format::testing::{
    Seen, lines, mutated, read, read_anyway, sample, source, source_of_bytes,
};

fn rows(rows: &[Value]) -> Seen {
    read(&FORMAT, source(&lines(rows)))
}

/// Messages of each turn, none of which has an answer.
fn turns(conversation: &Conversation) -> Vec<usize> {
    let turns = conversation.turns(TurnRules::default());
    assert!(turns.iter().all(|turn| turn.answer.is_none() && !turn.keeps_recorded));
    assert_eq!(conversation.recorded.len(), turns.len());
    turns.iter().map(|turn| turn.messages.len()).collect()
}

#[test]
fn turns_are_requests_without_recorded_answers() {
    let seen = read(&FORMAT, sample("aiperf/multi_turn.jsonl"));
    assert_eq!((seen.skips.len(), seen.remarks.len(), seen.error), (0, 0, None));
    let shape: Vec<_> = seen.conversations.iter().map(|it| (it.id.as_str(), turns(it))).collect();
    assert_eq!(shape, [("weather", vec![1, 1, 1]), ("picture", vec![1, 1]), ("row-2", vec![2])]);

    let weather = &seen.conversations[0];
    let times = |it: &turnbench_model::RecordedTurn| (it.sent_at_ns, it.think_time_ns);
    assert_eq!(times(&weather.recorded[0]), (Some(Nanos::from_millis(1000)), None));
    assert_eq!(times(&weather.recorded[2]), (None, Some(Nanos(800_500_000))));
    let lengths: Vec<_> =
        weather.recorded.iter().map(|it| (it.min_tokens, it.max_tokens)).collect();
    assert_eq!(lengths, [(Some(40), Some(40)), (Some(30), Some(30)), (None, Some(20))]);

    let picture = &seen.conversations[1];
    assert_eq!(json!(picture.request), json!({"temperature": 0, "ignore_eos": true}));
    assert_eq!(
        json!(picture.messages),
        json!([
            {"role": "user", "content": [
                {"type": "text", "text": "What is shown here?"},
                {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "Say it in French."},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]},
        ])
    );
    assert_eq!(seen.conversations[2].recorded[0].model.as_deref(), Some("small"));
}

#[test]
fn rows_of_a_session_are_its_turns() {
    let seen = read(&FORMAT, sample("aiperf/single_turn.jsonl"));
    assert_eq!((seen.skips.len(), seen.remarks.len(), seen.error), (0, 0, None));
    let mut shape: Vec<_> =
        seen.conversations.iter().map(|it| (it.id.as_str(), it.messages.len())).collect();
    shape.sort_unstable();
    assert_eq!(shape, [("row-0", 1), ("row-3", 1), ("row-4", 1), ("s1", 2)]);
    let session = seen.conversations.iter().find(|it| it.id == "s1").unwrap();
    assert_eq!(turns(session), [1, 1]);
    assert_eq!(session.recorded[1].think_time_ns, Some(Nanos::from_millis(2000)));
}

#[test]
fn sessions_that_take_turns_are_whole_however_few_are_asked_for() {
    let row = |number: usize| json!({"session_id": format!("s{}", number % 20), "text": format!("t{}", number / 20)});
    let text = lines(&(0..60).map(row).collect::<Vec<_>>());
    for max in [None, Some(2)] {
        let seen = read(&FORMAT, source(&text).with_conversations_max(max));
        assert_eq!((seen.skips.len(), &seen.error), (0, &None));
        assert!(seen.conversations.len() >= max.unwrap_or(20));
        assert!(seen.conversations.iter().all(|it| turns(it) == [1, 1, 1]));
    }
    // One that is skipped takes no other's place.
    let of = |id: &str, text: Value| json!({"session_id": id, "text": text});
    let rows = [of("a", json!(5)), of("b", json!("1")), of("a", json!("2")), of("c", json!("3"))];
    let seen = read_anyway(&FORMAT, source(&lines(&rows)).with_conversations_max(Some(2)));
    let ids: Vec<&str> = seen.conversations.iter().map(|it| it.id.as_str()).collect();
    assert_eq!((ids, seen.skips.len()), (vec!["b", "c"], 1));
}

#[test]
fn what_nothing_is_asked_after_is_not_sent_and_said_so() {
    let seen = rows(&[
        json!({"session_id": "s", "turns": [{"text": "q"}, {"role": "system", "text": "lost"}]}),
        json!({"session_id": "t", "turns": [{"text": "q"}, {"role": "system", "text": "lost"}]}),
    ]);
    assert_eq!(seen.conversations[0].messages.len(), 1);
    let problem = "ends with what nothing is asked after, which is not sent";
    assert_eq!(seen.remarks, [format!("in.data: turns {problem}")]);
    let row = |role: &str| json!({"session_id": "s", "text": "x", "role": role});
    let seen = rows(&[row("user"), row("assistant"), row("assistant")]);
    assert_eq!(seen.conversations[0].messages.len(), 2);
    assert_eq!(seen.remarks, [format!("in.data: role {problem}")]);
}

#[test]
fn answers_that_a_file_has_are_recorded_answers() {
    let seen = rows(&[json!({"turns": [
        {"text": "1"}, {"role": "assistant", "text": "2"}, {"text": "3"}, {"text": "4"}]})]);
    let spans = seen.conversations[0].turns(TurnRules::default());
    let answers: Vec<_> = spans.iter().map(|turn| turn.answer).collect();
    assert_eq!(answers, [Some(1), None, None]);
}

#[test]
fn dates_are_counted_from_the_first() {
    let seen = rows(&[
        json!({"text": "1", "timestamp": 1_700_000_000_500_u64}),
        json!({"text": "2", "timestamp": 1_700_000_001_000_u64}),
        json!({"text": "3", "timestamp": 5}),
    ]);
    let times: Vec<_> =
        seen.conversations.iter().map(|it| it.recorded[0].sent_at_ns.unwrap()).collect();
    assert_eq!(times, [Nanos(0), Nanos(500_000_000), Nanos(0)]);
    let expect = "in.data: timestamp is earlier than that of the first row; such rows count as sent \
                  with the first";
    assert_eq!(seen.remarks, [expect]);
}

#[test]
fn extra_keys_are_for_the_request_and_told_where_they_differ() {
    let seen = rows(&[json!({"turns": [
        {"text": "1", "extra": {"top_p": 1, "max_tokens": 5, "min_tokens": 2, "stream": false, "model": "m"}},
        {"text": "2", "extra": {"top_p": 0}, "speaker": 1}]})]);
    let conversation = &seen.conversations[0];
    assert_eq!(json!(conversation.request), json!({"top_p": 1}));
    let first = &conversation.recorded[0];
    assert_eq!((first.min_tokens, first.max_tokens), (Some(2), Some(5)));
    assert_eq!(first.model.as_deref(), Some("m"));
    assert_eq!(
        seen.remarks,
        [
            "in.data: turns[1].speaker is an unknown key and has no effect",
            "in.data: extra is not that of the conversation's first turn, which is sent",
        ]
    );
}

#[test]
fn sounds_are_carried_or_pointed_to() {
    let part = |audio: &str| {
        let seen = rows(&[json!({"audio": audio})]);
        assert_eq!(seen.skips, Vec::<String>::new());
        match &seen.conversations[0].messages[0].content {
            Content::Parts(parts) => parts[0].clone(),
            Content::Text(_) | Content::Null => panic!("{seen:?}"),
        }
    };
    let sound = json!({"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}});
    assert_eq!(part("mp3,AA=="), sound);
    assert_eq!(part("data:audio/mp3;base64,AA=="), sound);
    let link = json!({"type": "audio_url", "audio_url": {"url": "https://x/y.wav"}});
    assert_eq!(part("https://x/y.wav"), link);
}

fn check_skip(row: Value, expect: &str) {
    let seen = rows(&[json!({"text": "x"}), row]);
    assert_eq!((seen.conversations.len(), seen.skips), (1, vec![expect.to_owned()]));
}

#[test]
fn rows_that_are_no_conversations_are_skipped_by_reason() {
    check_skip(json!(5), "no object: in.data:2: the document is 5, allowed is a JSON object");
    check_skip(
        json!({"turns": 5}),
        "malformed turns: in.data:2: turns is 5, allowed is a list of turns",
    );
    check_skip(
        json!({"turns": []}),
        "no turn to answer: in.data:2: the document is an object, allowed is a row with a turn to \
         answer",
    );
    check_skip(
        json!({"turns": [{"text": ""}]}),
        "turn without content: in.data:2: turns[0].text is \"\", allowed is a text, or texts, \
         images, audios or videos",
    );
    check_skip(
        json!({"turns": [null]}),
        "no object: in.data:2: turns[0] is null, allowed is a JSON object",
    );
    check_skip(
        json!({"text": "x", "role": "human"}),
        "unknown role: in.data:2: role is \"human\", allowed is system, developer, user, assistant \
         or tool",
    );
    check_skip(
        json!({"image": "cat.png"}),
        "media that is a file: in.data:2: image is \"cat.png\", allowed is a URL that begins with \
         http://, https:// or data:",
    );
    check_skip(
        json!({"texts": ["x", 5]}),
        "malformed content: in.data:2: texts[1] is 5, allowed is a string",
    );
    check_skip(
        json!({"text": "x", "output_length": 1e12}),
        "malformed token count: in.data:2: output_length is 1000000000000.0, allowed is a whole \
         number of tokens, 1 to 4294967295",
    );
    check_skip(
        json!({"text": "x", "delay": "1s"}),
        "malformed time: in.data:2: delay is \"1s\", allowed is a number of milliseconds, 0 or more",
    );
    check_skip(
        json!({"text": "x", "extra": []}),
        "malformed extra: in.data:2: extra is [], allowed is an object",
    );
}

#[test]
fn other_formats_rows_are_left_to_them() {
    for (row, expect) in [
        (json!({"text": "x"}), true),
        (json!({"turns": [{"images": []}]}), true),
        (json!({"session_id": "s", "turns": [{"text": "x"}]}), true),
        (json!({"turns": 3, "text": "x"}), false),
        (json!({"turns": [["x"]]}), false),
        (json!({"text": "x", "messages": []}), false),
        (json!({"text": "x", "input_length": 5}), false),
        (json!({"timestamp": 0, "input_length": 5, "output_length": 5}), false),
        (json!({"text_input": "x", "session_id": "s"}), false),
        (json!({"text": "a page", "url": "http://x", "timestamp": "2019-04-25T12:57:54Z"}), false),
    ] {
        assert_eq!((FORMAT.sniff)(source(&row.to_string()).peek()), expect, "{row}");
    }
}

const SEEDS: [&str; 2] = [
    r#"{"session_id": "s", "turns": [{"texts": [{"name": "n", "contents": ["x"]}], "audios":
        ["data:audio/wav;base64,AA=="], "delay": 1, "output_length": 5, "extra": {"max_tokens": 1}}]}
       {"session_id": "s", "turns": [{"role": "assistant", "text": "x"}, {"text": "y"}]}"#,
    r#"[{"text": "x", "timestamp": 1700000000000, "session_id": 5}, {"image": "data:x", "text": "",
        "model": "m", "session_id": 6}, {"video": "http://x", "session_id": 5}]"#,
];

proptest! {
    #[test]
    fn no_rows_make_the_reader_panic(bytes in mutated(&SEEDS)) {
        read_anyway(&FORMAT, source_of_bytes(&bytes));
    }
}
