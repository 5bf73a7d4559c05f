//! What the readers of traces without text share.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use turnbench_model::{Nanos, RecordedTurn};

pub(crate) use super::remarks::Remarks;
use super::{Item, Skipped};
use crate::WorkloadError;
use crate::json_file::Node;
use crate::trace_text::TEXT_TOKENS_MAX;

/// The lengths of a request: a trace without them has nothing, and of lengths that no text is made
/// of ([`TEXT_TOKENS_MAX`]) nothing comes. A recorded answer length is exact.
pub(crate) fn lengths(prompt: &Node, answer: &Node) -> Result<RecordedTurn, Skipped> {
    let none = || Skipped::new("no prompt length", prompt.refuse(ALLOWED_TOKENS));
    let turn = RecordedTurn {
        prompt_tokens: Some(length(prompt, "prompt without tokens")?.ok_or_else(none)?),
        standalone: true,
        ..RecordedTurn::default()
    };
    Ok(match length(answer, "answer without tokens")? {
        Some(tokens) => turn.with_answer_tokens(tokens),
        None => turn,
    })
}

const ALLOWED_TOKENS: &str = "a whole number of tokens, from 1";

/// A [`count`] of tokens of which text can be made.
fn length(node: &Node, zero: &'static str) -> Result<Option<u32>, Skipped> {
    let tokens = count(node, zero)?;
    if tokens.is_some_and(|tokens| u64::from(tokens) > TEXT_TOKENS_MAX) {
        let error = node.refuse(&format!("at most {TEXT_TOKENS_MAX} tokens"));
        return Err(Skipped::new("prompt or answer too long", error));
    }
    Ok(tokens)
}

/// A number of tokens; `zero` is the reason for a skip where it is 0.
pub(crate) fn count(node: &Node, zero: &'static str) -> Result<Option<u32>, Skipped> {
    if node.value().and_then(Value::as_f64) == Some(0.0) {
        return Err(Skipped::new(zero, node.refuse(ALLOWED_TOKENS)));
    }
    super::openai::tokens(node)
}

/// Names of blocks: whole numbers of up to 64 bits, signed ones too, for some hashes are. Absent
/// and `null` are none.
pub(crate) fn hash_ids(node: &Node) -> Result<Vec<u64>, Skipped> {
    let refuse = |node: &Node, allowed| Skipped::new("malformed hash_ids", node.refuse(allowed));
    if node.not_null().is_none() {
        return Ok(Vec::new());
    }
    let items = node.items().ok_or_else(|| refuse(node, "a list of whole numbers"))?;
    items
        .map(|item| {
            let value = item.value();
            let signed = || value.and_then(Value::as_i64).map(i64::cast_unsigned);
            let id = value.and_then(Value::as_u64).or_else(signed);
            id.ok_or_else(|| refuse(&item, "a whole number of up to 64 bits"))
        })
        .collect()
}

/// What a row of a trace is good for.
#[derive(Debug)]
pub(crate) enum Part<T> {
    /// Something to hand out.
    Item(Item),
    /// A turn of a session, whose other turns may stand anywhere in the file.
    Turn(String, T),
    /// What there was of a session is not to be handed out.
    Spoilt(String),
}

impl<T> From<Skipped> for Part<T> {
    fn from(skipped: Skipped) -> Self {
        Self::Item(Item::Skipped(skipped))
    }
}

/// The parts that one row gives, or why the file ends there.
pub(crate) type Parts<T> = Result<Vec<Part<T>>, WorkloadError>;

/// Hands out what stands alone as it comes and puts sessions together, which are handed out at the
/// end of the file in the order of their first turns.
pub(crate) struct Sessions<I, T, B> {
    rows: I,
    build: B,
    /// Most sessions that are kept.
    kept_max: usize,
    places: BTreeMap<String, usize>,
    kept: VecDeque<(String, Vec<T>)>,
    ready: VecDeque<Item>,
    ended: bool,
}

impl<I, T, B> Sessions<I, T, B>
where
    I: Iterator<Item = Parts<T>>,
    B: FnMut(String, Vec<T>) -> Item,
{
    pub(crate) fn new(rows: I, sessions_max: Option<usize>, build: B) -> Self {
        Self {
            rows,
            build,
            kept_max: sessions_max.unwrap_or(usize::MAX),
            places: BTreeMap::new(),
            kept: VecDeque::new(),
            ready: VecDeque::new(),
            ended: false,
        }
    }

    fn take(&mut self, part: Part<T>) {
        match part {
            Part::Item(item) => self.ready.push_back(item),
            Part::Spoilt(session) => {
                if let Some(&place) = self.places.get(&session) {
                    self.kept[place].1 = Vec::new();
                }
            }
            Part::Turn(session, turn) => {
                if let Some(&place) = self.places.get(&session) {
                    self.kept[place].1.push(turn);
                } else if self.kept.len() < self.kept_max {
                    self.places.insert(session.clone(), self.kept.len());
                    self.kept.push_back((session, vec![turn]));
                }
            }
        }
    }
}

impl<I, T, B> Iterator for Sessions<I, T, B>
where
    I: Iterator<Item = Parts<T>>,
    B: FnMut(String, Vec<T>) -> Item,
{
    type Item = Result<Item, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            if self.ended {
                let (id, turns) = self.kept.pop_front()?;
                if turns.is_empty() {
                    continue;
                }
                return Some(Ok((self.build)(id, turns)));
            }
            match self.rows.next() {
                Some(Ok(parts)) => parts.into_iter().for_each(|part| self.take(part)),
                Some(Err(error)) => {
                    self.ended = true;
                    self.kept.clear();
                    return Some(Err(error));
                }
                None => self.ended = true,
            }
        }
    }
}

/// Times from here on (2001) are dates, and not times since the beginning of a trace.
pub(crate) const DATES_FROM: Nanos = Nanos(1_000_000_000_000_000_000);

/// Makes times of day, or since who knows when, times since the first row.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    first: Option<Nanos>,
    remarks: Remarks,
}

impl Clock {
    /// Time since the first row; what was before it counts as sent with it, and the first such
    /// row gets a remark.
    pub(crate) fn since_first(
        &mut self,
        time: Option<Nanos>,
        row: &Node,
        key: &str,
    ) -> (Option<Nanos>, Option<Item>) {
        let Some(time) = time else { return (None, None) };
        let first = *self.first.get_or_insert(time);
        self.since(first, time, row, key)
    }

    /// [`Clock::since_first`] where the first time is a date ([`DATES_FROM`]). Other times are
    /// since the beginning of the trace already, and stay as they are.
    pub(crate) fn since_first_date(
        &mut self,
        time: Option<Nanos>,
        row: &Node,
        key: &str,
    ) -> (Option<Nanos>, Option<Item>) {
        let Some(time) = time else { return (None, None) };
        let first = if time >= DATES_FROM { time } else { Nanos(0) };
        let first = *self.first.get_or_insert(first);
        self.since(first, time, row, key)
    }

    fn since(
        &mut self,
        first: Nanos,
        time: Nanos,
        row: &Node,
        key: &str,
    ) -> (Option<Nanos>, Option<Item>) {
        let problem =
            "is earlier than that of the first row; such rows count as sent with the first";
        let remark = if time < first { self.remarks.once(row, key, problem) } else { None };
        (Some(Nanos(time.0.saturating_sub(first.0))), remark.map(Item::Remark))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};
    use turnbench_model::Nanos;

    use super::{Clock, DATES_FROM, lengths};
    use crate::json_file::Node;

    fn refusal(row: &Value) -> Option<String> {
        let row = Node::root(Path::new("f"), row);
        let read = lengths(&row.key("prompt"), &row.key("answer"));
        read.err().map(|skipped| format!("{}: {}", skipped.reason, skipped.error))
    }

    #[test]
    fn lengths_that_no_text_has_are_refused() {
        assert_eq!(refusal(&json!({"prompt": 1 << 24, "answer": 1 << 24})), None);
        let expect = "prompt or answer too long: f: prompt is 16777217, allowed is at most \
                      16777216 tokens";
        assert_eq!(refusal(&json!({"prompt": (1 << 24) + 1})).unwrap(), expect);
        let expect = "prompt or answer too long: f: answer is 99999999, allowed is at most \
                      16777216 tokens";
        assert_eq!(refusal(&json!({"prompt": 1, "answer": 99_999_999})).unwrap(), expect);
    }

    fn check_dates(times: &[u64], expect: &[u64]) {
        let value = json!({});
        let row = Node::root(Path::new("f"), &value);
        let mut clock = Clock::default();
        let mut since = |&time| clock.since_first_date(Some(Nanos(time)), &row, "t").0.unwrap().0;
        let seen: Vec<u64> = times.iter().map(&mut since).collect();
        assert_eq!(seen, expect);
    }

    #[test]
    fn dates_become_times_since_the_first_and_other_times_stay() {
        check_dates(&[5, 3, 9], &[5, 3, 9]);
        let first = DATES_FROM.0;
        check_dates(&[first, first + 7, first - 1], &[0, 7, 0]);
        check_dates(&[5, first], &[5, first]);
    }
}
