use serde_json::{Map, Number, Value};
use turnbench_model::{Nanos, RecordedTurn};

use super::{WriteReport, lost};

/// Puts a turn's time into a row, in milliseconds: `timestamp` (when it is sent) or `delay` (how
/// long after the answer before). Rows hold one of the two: where both are known, the first turn
/// has a timestamp and the others a delay, which stays true when answers take another time.
pub(super) fn put_time(
    row: &mut Map<String, Value>,
    turn: usize,
    recorded: &RecordedTurn,
    report: &mut WriteReport,
) {
    let (sent_at, think_time) = (recorded.sent_at_ns, recorded.think_time_ns);
    let by_delay = think_time.is_some() && (turn > 0 || sent_at.is_none());
    if by_delay {
        report.lose_if(sent_at.is_some(), lost::SEND_TIMES);
    } else {
        report.lose_if(think_time.is_some(), lost::THINK_TIMES);
    }
    let (key, time) = if by_delay { ("delay", think_time) } else { ("timestamp", sent_at) };
    if let Some(time) = time {
        row.insert(key.to_owned(), millis(time));
    }
}

/// Whole milliseconds as an integer, others with their fraction.
fn millis(time: Nanos) -> Value {
    if time.0.is_multiple_of(1_000_000) {
        return Value::from(time.0 / 1_000_000);
    }
    Number::from_f64(time.as_millis_f64()).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use turnbench_model::{Nanos, RecordedTurn};

    use super::put_time;
    use crate::writer::WriteReport;

    fn check(turn: usize, sent_at: Option<u64>, think_time: Option<u64>, row: &Value, lost: &str) {
        let recorded = RecordedTurn {
            sent_at_ns: sent_at.map(Nanos),
            think_time_ns: think_time.map(Nanos),
            ..RecordedTurn::default()
        };
        let (mut seen, mut report) = (Map::new(), WriteReport::default());
        put_time(&mut seen, turn, &recorded, &mut report);
        assert_eq!(Value::Object(seen), *row);
        assert_eq!(report.lost.first().map_or("", |(what, _)| what), lost);
    }

    #[test]
    fn a_row_holds_one_time_in_milliseconds() {
        check(0, None, None, &json!({}), "");
        check(0, Some(3_000_000), None, &json!({"timestamp": 3}), "");
        check(1, Some(1_500_000), None, &json!({"timestamp": 1.5}), "");
        check(1, None, Some(0), &json!({"delay": 0}), "");
        check(0, None, Some(1), &json!({"delay": 0.000_001}), "");
        check(0, Some(0), Some(7), &json!({"timestamp": 0}), "think times");
        check(1, Some(0), Some(2_000_000), &json!({"delay": 2}), "send times");
    }
}
