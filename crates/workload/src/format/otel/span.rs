use serde_json::{Map, Value, json};

use crate::json_file::Node;

/// Names of the list in OTLP/JSON, of its protobuf mapping and of writers that keep proto names.
pub(super) const OTLP_KEYS: [&str; 2] = ["resourceSpans", "resource_spans"];

/// Calls `take` with each span of a row, which is a span or an OTLP batch of them. Spans of OTLP are
/// handed over with their attributes as an object, as the other forms have them.
pub(super) fn each<T>(row: &Node, mut take: impl FnMut(&Node) -> Option<T>) -> Vec<T> {
    let mut taken = Vec::new();
    let mut is_batch = false;
    for key in OTLP_KEYS {
        for resource in row.key(key).items().into_iter().flatten() {
            is_batch = true;
            for scope_key in ["scopeSpans", "scope_spans"] {
                for scope in resource.key(scope_key).items().into_iter().flatten() {
                    for span in scope.key("spans").items().into_iter().flatten() {
                        let plain = plain(span.value().unwrap_or(&Value::Null));
                        taken.extend(take(&span.holding(&plain)));
                    }
                }
            }
        }
        is_batch |= row.key(key).value().is_some();
    }
    if !is_batch {
        taken.extend(take(row));
    }
    taken
}

/// A span with its attributes as an object.
fn plain(span: &Value) -> Value {
    let mut span = span.clone();
    let attributes = span.get("attributes").and_then(Value::as_array).map(|list| {
        let pairs = list.iter().filter_map(|pair| {
            Some((pair.get("key")?.as_str()?.to_owned(), any_value(pair.get("value")?)))
        });
        Value::Object(pairs.collect::<Map<_, _>>())
    });
    if let (Some(attributes), Some(span)) = (attributes, span.as_object_mut()) {
        span.insert("attributes".to_owned(), attributes);
    }
    span
}

/// An OTLP `AnyValue` as plain JSON.
fn any_value(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|object| object.iter().next()) else {
        return Value::Null;
    };
    let values = |inner: &Value| inner.get("values").and_then(Value::as_array).cloned();
    match kind.as_str() {
        // 64-bit integers are strings in the JSON mapping of protobuf.
        "intValue" | "int_value" => {
            let parsed = inner.as_str().and_then(|text| text.parse::<i64>().ok());
            parsed.map_or_else(|| inner.clone(), |number| json!(number))
        }
        "arrayValue" | "array_value" => {
            values(inner).unwrap_or_default().iter().map(any_value).collect()
        }
        "kvlistValue" | "kvlist_value" => {
            let pairs = values(inner).unwrap_or_default();
            let pairs = pairs.iter().filter_map(|pair| {
                Some((pair.get("key")?.as_str()?.to_owned(), any_value(pair.get("value")?)))
            });
            Value::Object(pairs.collect())
        }
        _ => inner.clone(),
    }
}
