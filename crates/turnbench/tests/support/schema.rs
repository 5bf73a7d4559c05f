//! Checks JSON against a JSON Schema, as far as the schemas in `docs/schema` go: `$ref`, `type`,
//! `const`, `required`, `properties`, `items`, `oneOf` and `anyOf`.

use serde_json::Value;

use super::bin::root;

/// Panics where `value` breaks the schema `docs/schema/NAME.json`.
pub fn check(name: &str, value: &Value) {
    let path = root().join("docs/schema").join(format!("{name}.json"));
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    if let Err(problem) = validate(&schema, &schema, value, "") {
        panic!("{name}: {problem}");
    }
}

fn validate(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let go = |schema: &Value, value: &Value, at: &str| validate(document, schema, value, at);
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("a definition");
        go(target, value, at)?;
    }
    if let Some(wanted) = schema.get("const")
        && wanted != value
    {
        return Err(format!("{at} is {value}, not {wanted}"));
    }
    let types = schema["type"].as_array().into_iter().flatten().chain([&schema["type"]]);
    let types: Vec<&str> = types.filter_map(Value::as_str).collect();
    if !types.is_empty() && !types.iter().any(|name| is_of_type(value, name)) {
        return Err(format!("{at} is {value}, not of type {types:?}"));
    }
    for alternatives in [&schema["oneOf"], &schema["anyOf"]].into_iter().filter_map(Value::as_array)
    {
        let problems: Vec<String> =
            alternatives.iter().filter_map(|one| go(one, value, at).err()).collect();
        if problems.len() == alternatives.len() {
            return Err(format!("{at} fits none: {problems:?}"));
        }
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(key).is_none() {
            return Err(format!("{at} has no {key:?}"));
        }
    }
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(key) {
            go(schema, value, &format!("{at}/{key}"))?;
        }
    }
    if schema["items"].is_object() {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            go(&schema["items"], item, &format!("{at}/{index}"))?;
        }
    }
    Ok(())
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
