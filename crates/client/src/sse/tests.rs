use proptest::prelude::*;

use super::EventParser;

type Seen = (String, String, usize, bool);

fn parse(pieces: &[&[u8]]) -> Vec<Seen> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut seen = Vec::new();
    let mut parser = EventParser::new();
    for piece in pieces {
        parser.push(piece, |event| {
            seen.push((text(event.name), text(event.data), event.data_end, event.terminated));
        });
    }
    parser.finish(|event| {
        seen.push((text(event.name), text(event.data), event.data_end, event.terminated));
    });
    seen
}

/// The standard, read line by line from the whole text: slow and obvious.
fn oracle(stream: &[u8]) -> Vec<Seen> {
    let mut lines: Vec<(Vec<u8>, usize, bool)> = vec![(Vec::new(), 0, false)];
    let mut at = 0;
    while at < stream.len() {
        if stream[at] == b'\r' || stream[at] == b'\n' {
            let last = lines.last_mut().unwrap();
            (last.1, last.2) = (at + 1, true);
            if stream[at] == b'\r' && stream.get(at + 1) == Some(&b'\n') {
                at += 1;
            }
            lines.push((Vec::new(), 0, false));
        } else {
            let last = lines.last_mut().unwrap();
            last.0.push(stream[at]);
            last.1 = at + 1;
        }
        at += 1;
    }
    if lines[0].0.starts_with(b"\xef\xbb\xbf") {
        lines[0].0.drain(..3);
    }
    let (mut seen, mut name, mut data, mut end) = (Vec::new(), Vec::new(), None::<Vec<u8>>, 0);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for (line, line_end, ended) in lines {
        if line.is_empty() && ended {
            if let Some(data) = data.take() {
                seen.push((text(&name), text(&data), end, true));
            }
            name.clear();
            continue;
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => {
                end = line_end;
                data = Some(match data {
                    Some(before) => [&before, &b"\n"[..], value].concat(),
                    None => value.to_vec(),
                });
            }
            b"event" => name = value.to_vec(),
            _ => {}
        }
    }
    if let Some(data) = data {
        seen.push((text(&name), text(&data), end, false));
    }
    seen
}

fn check(stream: &str, expect: &[(&str, &str, bool)]) {
    let seen = parse(&[stream.as_bytes()]);
    assert_eq!(seen, oracle(stream.as_bytes()), "{stream:?}");
    let seen: Vec<_> =
        seen.iter().map(|(name, data, _, ended)| (name.as_str(), data.as_str(), *ended)).collect();
    assert_eq!(seen, expect, "{stream:?}");
}

#[test]
fn the_standards_rules_hold() {
    check("data: a\n\n", &[("", "a", true)]);
    check("data:a\r\rdata:  b\r\n\r\n", &[("", "a", true), ("", " b", true)]);
    check("data: a\ndata\ndata: b\n\n", &[("", "a\n\nb", true)]);
    check(
        ": hi\nid: 1\nretry: 5\nfoo: x\nevent: e\ndata: a\n\ndata: b\n\n",
        &[("e", "a", true), ("", "b", true)],
    );
    check("event: only\n\ndata: a\n\n", &[("", "a", true)]);
    check("data:\n\n\n\n", &[("", "", true)]);
    check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[("", "a", true)]);
    check("data: a\n", &[("", "a", false)]);
    check("data: a", &[("", "a", false)]);
    check("data: a\n\n: bye", &[("", "a", true)]);
    check("", &[]);
}

#[test]
fn an_event_is_known_with_the_end_of_its_last_data_line() {
    assert_eq!(parse(&[b"data: a\n\n"])[0].2, 8);
    assert_eq!(parse(&[b"data: a\r\n\r\n"])[0].2, 8);
    assert_eq!(parse(&[b"data: a\n", b"id: 3\n\n"])[0].2, 8);
    assert_eq!(parse(&[b"x\n", b"data: a\n\n"])[0].2, 10);
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("data: {\"a\": \"é😀\"}"),
        Just("data:x"),
        Just("data"),
        Just("event: e"),
        Just(": c"),
        Just("\n"),
        Just("\r"),
        Just("\r\n"),
        Just("\n\n"),
        Just("\u{feff}"),
        Just("id"),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_gives_the_oracles_events(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        prop_assert_eq!(parse(&pieces), oracle(&stream));
        let single: Vec<_> = stream.chunks(1).collect();
        prop_assert_eq!(parse(&single), oracle(&stream));
    }
}
