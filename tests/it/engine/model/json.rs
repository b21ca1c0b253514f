//! JSON as PostgreSQL has it: the operator `@>`, the text of a jsonb, and small values to walk with.

use serde_json::{Value, json};

use super::random::Random;

/// `whole @> part`.
pub(super) fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part)))
        }
        _ => whole == part,
    }
}

/// What `value::text` says: shorter keys first, a space after a colon and a comma.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| (key.len(), key.as_str()));
            let entries = entries.iter().map(|(key, value)| format!("\"{key}\": {}", text(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(text).collect::<Vec<_>>().join(", ")),
        scalar => scalar.to_string(),
    }
}

/// As text, a minus where SQL has null.
pub(super) fn text_or_null(value: Option<&Value>) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// As SQL writes it.
pub(super) fn literal(value: Option<&Value>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| format!("'{}'", text(value)))
}

/// What `jsonb_typeof` says.
pub(super) fn type_name(value: Option<&Value>) -> &'static str {
    match value {
        None | Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Number(_)) => "number",
        Some(Value::String(_)) => "string",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    }
}

/// Any small value.
pub(super) fn any(random: &mut Random) -> Value {
    match random.below(3) {
        0 => random.pick(&[json!(null), json!(true), json!(1), json!(2), json!("x")]),
        1 => array(random),
        _ => object(random),
    }
}

pub(super) fn array(random: &mut Random) -> Value {
    random.pick(&[json!([]), json!([]), json!([1]), json!([1, 2]), json!([null, "x", {"k": 1}]), json!([[1], [1, 2]])])
}

pub(super) fn object(random: &mut Random) -> Value {
    random.pick(&[
        json!({}),
        json!({"k": 1}),
        json!({"k": 2}),
        json!({"k": [1, 2]}),
        json!({"long": {"k": 1}, "m": "x"}),
    ])
}

/// Something that a value chosen above may well contain.
pub(super) fn part(random: &mut Random) -> Value {
    match any(random) {
        Value::Array(mut values) if random.chance(50) => {
            values.truncate(1);
            Value::Array(values)
        }
        Value::Object(entries) => Value::Object(entries.into_iter().filter(|_| random.chance(60)).collect()),
        value => value,
    }
}
