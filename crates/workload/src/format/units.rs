use turnbench_model::Nanos;

use super::Skipped;
use crate::json_file::Node;

/// A time span in a data set, in seconds or thousandths; absent and `null` are the same.
pub(crate) fn seconds(node: &Node) -> Result<Option<Nanos>, Skipped> {
    span(node, 1e9, "a number of seconds, 0 or more")
}

/// See [`seconds`].
pub(crate) fn millis(node: &Node) -> Result<Option<Nanos>, Skipped> {
    span(node, 1e6, "a number of milliseconds, 0 or more")
}

fn span(node: &Node, unit_ns: f64, allowed: &str) -> Result<Option<Nanos>, Skipped> {
    let Some(value) = node.not_null() else { return Ok(None) };
    let whole = value.as_u64().and_then(|units| units.checked_mul(unit_ns as u64));
    let spanned = whole.or_else(|| {
        let nanos = value.as_f64()? * unit_ns;
        (0.0..u64::MAX as f64).contains(&nanos).then(|| nanos.round() as u64)
    });
    let refuse = || Skipped::new("malformed time", node.refuse(allowed));
    spanned.map(|nanos| Some(Nanos(nanos))).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};
    use turnbench_model::Nanos;

    use super::{millis, seconds};
    use crate::json_file::Node;

    #[test]
    fn times_are_kept_to_the_nanosecond() {
        let node = |value: &Value| millis(&Node::root(Path::new("f"), value)).ok().flatten();
        assert_eq!(node(&json!(1_700_000_000_123_u64)), Some(Nanos(1_700_000_000_123_000_000)));
        assert_eq!(node(&json!(0.5)), Some(Nanos(500_000)));
        for bad in [json!(null), json!(-1), json!("5"), json!(1e30), json!(u64::MAX)] {
            assert_eq!(node(&bad), None, "{bad}");
        }
        let value = json!(0.119_197);
        let found = seconds(&Node::root(Path::new("f"), &value));
        assert_eq!(found.ok().flatten(), Some(Nanos(119_197_000)));
    }
}
