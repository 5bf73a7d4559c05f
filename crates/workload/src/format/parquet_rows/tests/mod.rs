mod damage;

use std::io::Write;

use serde_json::Value;
use turnbench_model::{Conversation, Message, Nanos, RecordedTurn, TurnRules};

use super::testing::{TestColumn, file, text};
use crate::format::testing::{Seen, read, sample, sample_path, source_of_bytes};
use crate::format::{FORMATS, Format, Source, lmsys, wildchat};

const WILDCHAT: [&str; 5] = [
    "duckdb_snappy",
    "pyarrow_gzip_nodict",
    "pyarrow_none_delta",
    "pyarrow_snappy",
    "pyarrow_zstd_v2pages_rg5",
];
const LMSYS: [&str; 4] = ["duckdb_brotli", "duckdb_zstd", "polars_zstd", "pyarrow_snappy"];

/// What a row of `rows.jsonl` must become; `None` when it is to be skipped.
fn expected(row: &Value) -> Option<Conversation> {
    let messages = row["messages"].as_array().unwrap();
    let content = |message: &Value| message["content"].as_str().unwrap().to_owned();
    let role = |message: &Value| message["role"].as_str().unwrap().to_owned();
    if messages.iter().any(|it| role(it) == "user" && content(it).is_empty()) {
        return None;
    }
    let list = messages.iter().map(|it| Message::new(&role(it), content(it))).collect();
    let mut conversation = Conversation::new(row["id"].as_str().unwrap(), list);
    let at: Vec<Option<i64>> = messages
        .iter()
        .map(|it| {
            let at: jiff::Timestamp = it["timestamp"].as_str()?.parse().unwrap();
            Some(at.as_microsecond())
        })
        .collect();
    conversation.recorded = conversation
        .turns(TurnRules::default())
        .iter()
        .map(|turn| RecordedTurn {
            think_time_ns: turn
                .messages
                .start
                .checked_sub(1)
                .and_then(|before| Some(at[turn.answer?]? - at[before]?))
                .and_then(|gap| u64::try_from(gap).ok())
                .map(|gap| Nanos(1_000 * gap)),
            model: row["model"].as_str().map(str::to_owned),
            ..RecordedTurn::default()
        })
        .collect();
    Some(conversation)
}

fn check_samples(format: &Format, names: &[&str]) {
    let folder = format.name;
    let oracle = std::fs::read_to_string(sample_path(&format!("{folder}/rows.jsonl"))).unwrap();
    let rows: Vec<Value> = oracle.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 24);
    let expect: Vec<Conversation> = rows.iter().filter_map(expected).collect();
    let messages: usize = rows.iter().map(|row| row["messages"].as_array().unwrap().len()).sum();
    assert_eq!((messages, expect.len()), (114, 14));
    for name in names {
        let source = sample(&format!("{folder}/{name}.parquet"));
        let recognized: Vec<&str> = FORMATS
            .iter()
            .filter(|format| (format.sniff)(source.peek()))
            .map(|format| format.name)
            .collect();
        assert_eq!(recognized, [folder], "{name}");
        let state = source.state();
        let seen = read(format, source);
        assert_eq!(seen.error, None, "{name}");
        assert_eq!(seen.conversations, expect, "{name}");
        assert_eq!(seen.skips.len(), 10, "{name}");
        assert_eq!(state.read_bytes(), state.size_bytes(), "{name}");
    }
}

#[test]
fn every_writer_codec_and_encoding_gives_the_same_rows() {
    check_samples(&wildchat::FORMAT, &WILDCHAT);
    check_samples(&lmsys::FORMAT, &LMSYS);
}

#[test]
fn empty_questions_are_skipped_and_times_of_answers_alone_remarked_on() {
    let seen = read(&wildchat::FORMAT, sample("wildchat/pyarrow_snappy.parquet"));
    assert_eq!(
        seen.skips[0],
        "empty user message: pyarrow_snappy.parquet: [3].conversation[4].content is \"\", allowed \
         is text that is not empty"
    );
    assert_eq!(
        seen.remarks,
        ["pyarrow_snappy.parquet: conversation.timestamp is known of answers only, so that think \
          times include the time that the answer took"]
    );
    let seen = read(&lmsys::FORMAT, sample("lmsys/polars_zstd.parquet"));
    assert!(seen.remarks.is_empty());
}

/// Two rows, "a" with a question and an answer, "b" with a question.
fn two_rows(list: &str, definition: i16, is_lmsys: bool) -> Vec<u8> {
    let id = if is_lmsys { "conversation_id" } else { "conversation_hash" };
    let schema = format!("message root {{ required binary {id} (UTF8); {list} }}");
    let levels = vec![definition; 3];
    let columns = vec![
        text(&["a", "b"], &[], &[]),
        text(&["q", "r", "s"], &levels, &[0, 1, 0]),
        text(&["user", "assistant", "user"], &levels, &[0, 1, 0]),
    ];
    file(&schema, &[columns])
}

#[test]
fn lists_are_recognized_by_structure_whatever_their_parts_are_called() {
    let leaf = "optional binary content (UTF8); optional binary role (UTF8);";
    let required = "required binary content (UTF8); required binary role (UTF8);";
    for (list, definition) in [
        (
            format!(
                "optional group conversation (LIST) {{ repeated group list {{ optional group element {{ {leaf} }} }} }}"
            ),
            4,
        ),
        (
            format!(
                "optional group conversation (LIST) {{ repeated group list {{ optional group item {{ {leaf} }} }} }}"
            ),
            4,
        ),
        (
            format!(
                "optional group conversation (LIST) {{ repeated group bag {{ optional group array_element {{ {leaf} }} }} }}"
            ),
            4,
        ),
        (format!("optional group conversation (LIST) {{ repeated group array {{ {leaf} }} }}"), 3),
        (
            format!(
                "required group conversation (LIST) {{ repeated group array {{ {required} }} }}"
            ),
            1,
        ),
        (format!("repeated group conversation {{ {leaf} }}"), 2),
    ] {
        for (format, is_lmsys) in [(&wildchat::FORMAT, false), (&lmsys::FORMAT, true)] {
            let seen = read(format, source_of_bytes(&two_rows(&list, definition, is_lmsys)));
            assert_eq!(seen.error, None, "{list}");
            let ids: Vec<_> =
                seen.conversations.iter().map(|it| (it.id.as_str(), it.messages.clone())).collect();
            let first = vec![Message::new("user", "q"), Message::new("assistant", "r")];
            assert_eq!(ids, [("a", first), ("b", vec![Message::new("user", "s")])], "{list}");
        }
    }
}

const LIST: &str = "optional group conversation (LIST) { repeated group list { optional group \
                    element { optional binary content (UTF8); optional binary role (UTF8); } } }";

fn lmsys_rows(columns: Vec<TestColumn>) -> Seen {
    let schema = format!("message root {{ optional binary conversation_id; {LIST} }}");
    read(&lmsys::FORMAT, source_of_bytes(&file(&schema, &[columns])))
}

#[test]
fn odd_rows_are_skipped_with_their_place() {
    // A null list, an empty one, a null message, null content, an unknown role, no UTF-8, answers
    // alone, a good one without id.
    let definition = [0, 1, 2, 3, 4, 4, 4, 4];
    let roles = [0, 1, 2, 4, 4, 4, 4, 4];
    let seen = lmsys_rows(vec![
        text(&["a", "b", "c", "d", "e", "f", "g"], &[1, 1, 1, 1, 1, 1, 1, 0], &[]),
        TestColumn::Text(vec![b"x", b"\xff", b"x", b"x"], definition.to_vec(), vec![0; 8]),
        text(&["user", "bot", "user", "assistant", "user"], &roles, &[0; 8]),
    ]);
    assert_eq!(seen.error, None);
    let ids: Vec<&str> = seen.conversations.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["row-7"]);
    let no_user = "allowed is a list of messages with one of a user at least";
    assert_eq!(
        seen.skips,
        [
            format!("no user message: in.data: [0].conversation is [], {no_user}"),
            format!("no user message: in.data: [1].conversation is [], {no_user}"),
            "unknown role: in.data: [2].conversation[0].role is null, allowed is \"user\", \
             \"assistant\" or \"system\""
                .to_owned(),
            "message without content: in.data: [3].conversation[0].content is null, allowed is text"
                .to_owned(),
            "unknown role: in.data: [4].conversation[0].role is \"bot\", allowed is \"user\", \
             \"assistant\" or \"system\""
                .to_owned(),
            "invalid UTF-8: in.data: [5].conversation[0].content is no UTF-8 at its byte 0, \
             allowed is UTF-8 text"
                .to_owned(),
            format!("no user message: in.data: [6].conversation is a list of 1, {no_user}"),
        ]
    );
}

/// Think time and latency of the second turn, when its messages have these times.
fn times(column: TestColumn, of: &str) -> (Option<Nanos>, Option<Nanos>, usize) {
    let schema = format!(
        "message root {{ required binary conversation_hash; required group conversation {{ \
         repeated group list {{ required group element {{ required binary content; required binary \
         role; optional {of}; }} }} }} }}"
    );
    let levels = ([1; 4], [0, 1, 1, 1]);
    let columns = vec![
        text(&["a"], &[], &[]),
        text(&["q", "a", "q", "a"], &levels.0, &levels.1),
        text(&["user", "assistant", "user", "assistant"], &levels.0, &levels.1),
        column,
    ];
    let seen = read(&wildchat::FORMAT, source_of_bytes(&file(&schema, &[columns])));
    assert_eq!((seen.error, &seen.skips[..]), (None, &[][..]));
    let recorded = seen.conversations[0].recorded.get(1).cloned().unwrap_or_default();
    (recorded.think_time_ns, recorded.latency_ns, seen.remarks.len())
}

#[test]
fn times_give_think_times_in_every_unit() {
    let (answers, all) = (vec![1, 2, 1, 2], vec![2; 4]);
    let list = vec![0, 1, 1, 1];
    let int64 = |values: &[i64]| TestColumn::Int64(values.to_vec(), answers.clone(), list.clone());
    let think = |ns| (Some(Nanos(ns)), None, 1);
    assert_eq!(times(int64(&[5, 12]), "int64 timestamp (TIMESTAMP_MILLIS)"), think(7_000_000));
    assert_eq!(times(int64(&[5, 12]), "int64 timestamp (TIMESTAMP_MICROS)"), think(7_000));
    assert_eq!(times(int64(&[5, 12]), "int64 timestamp (TIMESTAMP(NANOS,false))"), think(7));
    let days = TestColumn::Int96(
        vec![[5, 0, 2_440_588], [4, 0, 2_440_589]],
        answers.clone(),
        list.clone(),
    );
    assert_eq!(times(days, "int96 timestamp"), think(86_400_000_000_000 - 1));
    let text_times =
        text(&["2023-04-09T00:00:24.25+00:00", "2023-04-09 00:00:25Z"], &answers, &list);
    assert_eq!(times(text_times, "binary timestamp (UTF8)"), think(750_000_000));
    // Going back, or nearly endless.
    assert_eq!(times(int64(&[12, 5]), "int64 timestamp (TIMESTAMP_MICROS)"), (None, None, 0));
    let far = int64(&[i64::MIN, i64::MAX]);
    assert_eq!(times(far, "int64 timestamp (TIMESTAMP_MILLIS)"), (None, None, 0));
    // Questions with times of their own.
    let every = TestColumn::Int64(vec![1, 3, 10, 14], all, list);
    assert_eq!(
        times(every, "int64 timestamp (TIMESTAMP_MICROS)"),
        (Some(Nanos(7_000)), Some(Nanos(4_000)), 0)
    );
}

fn refused(bytes: &[u8], format: &Format) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.parquet");
    std::fs::write(&path, bytes).unwrap();
    let error = Source::open(&path).and_then(|source| (format.read)(source).map(|_| ()));
    error.unwrap_err().to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn files_that_are_cut_off_or_compressed_are_refused_with_the_way_out() {
    let bytes = std::fs::read(sample_path("wildchat/pyarrow_snappy.parquet")).unwrap();
    let refused = |bytes: &[u8]| refused(bytes, &wildchat::FORMAT);
    for length in [4, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = refused(&bytes[..length]);
        assert!(error.starts_with("in.parquet: malformed Parquet in its footer: "), "{error}");
    }
    let compressed = "in.parquet: is Parquet in a compressed file, allowed is a plain file of it\n\
                      hint: decompress it first, Parquet files are compressed within";
    assert_eq!(refused(&zstd::encode_all(&bytes[..], 1).unwrap()), compressed);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    assert_eq!(refused(&gzip.finish().unwrap()), compressed);
    assert_eq!(
        refused(b"[1, 2]"),
        "in.parquet: the file is no Parquet, allowed is Parquet, which begins and ends with PAR1"
    );
}

#[test]
fn columns_that_do_not_fit_are_refused_by_name() {
    let check = |schema: &str, expect: &str| {
        let bytes = file(&format!("message root {{ {schema} }}"), &[]);
        assert_eq!(refused(&bytes, &lmsys::FORMAT), format!("in.parquet: {expect}"));
    };
    let id = "required binary conversation_id";
    let list = "a list of messages, each with role and content";
    let nested = |leaves: &str| {
        format!(
            "{id}; optional group conversation (LIST) {{ repeated group list {{ optional group element {{ {leaves} }} }} }}"
        )
    };
    check(&format!("{id};"), &format!("column conversation is missing, allowed is {list}"));
    check(
        &format!("{id}; required binary conversation;"),
        &format!("column conversation is none, allowed is {list}"),
    );
    check(
        &format!(
            "{id}; required group conversation {{ required binary role; required binary content; }}"
        ),
        &format!("column conversation is none, allowed is {list}"),
    );
    check(LIST, "column conversation_id is missing, allowed is text (BYTE_ARRAY)");
    check(
        &nested("required binary role;"),
        "column conversation.content is missing, allowed is text (BYTE_ARRAY)",
    );
    check(
        &nested("required binary role; required int32 content;"),
        "column conversation.content is INT32, allowed is text (BYTE_ARRAY)",
    );
    check(
        &nested("required binary role; repeated binary content;"),
        "column conversation.content is nested, allowed is text (BYTE_ARRAY)",
    );
    check(
        &nested("required binary role; required group content { required binary text; }"),
        "column conversation.content is nested, allowed is text (BYTE_ARRAY)",
    );
    check(
        &format!("required int64 conversation_id; {LIST}"),
        "column conversation_id is INT64, allowed is text (BYTE_ARRAY)",
    );
}

#[test]
fn releases_are_told_apart_by_their_columns() {
    let recognized = |columns: &str| -> Vec<&str> {
        let bytes = file(&format!("message root {{ {columns} }}"), &[]);
        let source = source_of_bytes(&bytes);
        let fits = |format: &&Format| (format.sniff)(source.peek());
        FORMATS.iter().filter(fits).map(|format| format.name).collect()
    };
    let (id, hash) = ("required binary conversation_id;", "required binary conversation_hash;");
    let time = "required int64 timestamp (TIMESTAMP_MILLIS);";
    assert_eq!(recognized(&format!("{id} {LIST}")), ["lmsys"]);
    assert_eq!(recognized(&format!("{id} {LIST} {time}")), ["wildchat"]);
    assert_eq!(recognized(&format!("{id} {LIST} required boolean toxic;")), ["wildchat"]);
    assert_eq!(recognized(&format!("{hash} {LIST}")), ["wildchat"]);
    assert_eq!(recognized(&format!("{hash} {time}")), [""; 0]);
    assert_eq!(recognized("required binary text;"), [""; 0]);
}

#[test]
fn nothing_is_read_beyond_what_is_asked_for() {
    let mut bytes =
        std::fs::read(sample_path("wildchat/pyarrow_zstd_v2pages_rg5.parquet")).unwrap();
    let state_and_seen = |bytes: &[u8]| {
        let source = source_of_bytes(bytes);
        let state = source.state();
        let rows: Vec<_> = (wildchat::FORMAT.read)(source).unwrap().collect();
        (state, rows)
    };
    let whole = state_and_seen(&bytes).1.len();
    // All of the file between the first row group and the footer is overwritten.
    let footer = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let end = bytes.len() - 8 - footer;
    bytes[end / 5 + 1_000..end].fill(0xff);
    let (_, damaged) = state_and_seen(&bytes);
    let (last, before) = damaged.split_last().unwrap();
    assert!(before.iter().all(Result::is_ok));
    assert!((5..whole).contains(&before.len()), "{} of {whole}", before.len());
    let error = last.as_ref().unwrap_err().to_string();
    assert!(error.contains("malformed Parquet in row group 1, column conversation"), "{error}");
}

#[test]
fn progress_grows_to_the_size_of_the_file() {
    let source = sample("wildchat/pyarrow_zstd_v2pages_rg5.parquet");
    let state = source.state();
    let mut before = 0;
    for item in (wildchat::FORMAT.read)(source).unwrap() {
        assert!(item.is_ok());
        assert!(state.read_bytes() >= before && state.read_bytes() <= state.size_bytes());
        before = state.read_bytes();
    }
    assert_eq!(state.read_bytes(), state.size_bytes());
}
