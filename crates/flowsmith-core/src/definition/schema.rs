//! The JSON Schema of the format, for editors. It is generated from the table in [`super::shape`], as is the check.

use serde_json::{Map, Value, json};

use super::RUN;

use super::shape::{FLOW, HANDLER, HTTP, Kind, OPTIONS, OVERRIDES, Object, STEP, TRIGGER, TRIGGER_OVERRIDES};

const SLUG: &str = "^[a-zA-Z_][a-zA-Z0-9_]*$";

/// The JSON Schema of a flow file, draft 2020-12.
pub fn json_schema() -> Value {
    let written = [&OPTIONS, &STEP, &HANDLER, &HTTP, &TRIGGER].map(|object| (object, Use::Written));
    let overriding = [&OPTIONS, &STEP, &TRIGGER_OVERRIDES, &OVERRIDES].map(|object| (object, Use::Overriding));
    let definitions: Map<_, _> = written
        .into_iter()
        .chain(overriding)
        .map(|(each, used)| (used.name(each), Value::Object(object(each, used))))
        .collect();
    let mut schema = object(&FLOW, Use::Written);
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("A flowsmith flow"));
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}

/// The context of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// A flow.
    Written,
    /// An environment, where `null` removes a key.
    Overriding,
}

impl Use {
    fn name(self, object: &Object) -> String {
        match self {
            Self::Overriding if !object.name.ends_with("overrides") => format!("{}_overrides", object.name),
            _ => object.name.to_owned(),
        }
    }
}

fn object(object: &Object, used: Use) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("additionalProperties".to_owned(), json!(false));
    let mut properties = Map::new();
    for field in object.fields {
        let mut property = kind(&field.kind, used);
        if used == Use::Overriding && !field.required {
            property = Map::from_iter([("anyOf".to_owned(), json!([property, { "type": "null" }]))]);
        }
        property.insert("description".to_owned(), json!(field.doc));
        if let Some(default) = field.default.and_then(|default| serde_json::from_str::<Value>(default).ok())
            && used == Use::Written
        {
            property.insert("default".to_owned(), default);
        }
        properties.insert(field.name.to_owned(), Value::Object(property));
    }
    schema.insert("properties".to_owned(), Value::Object(properties));
    let required: Vec<_> = object.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    if !object.exactly_one.is_empty() {
        let choices: Vec<_> = object.exactly_one.iter().map(|name| json!({ "required": [name] })).collect();
        schema.insert("oneOf".to_owned(), Value::Array(choices));
    }
    schema
}

fn kind(kind: &Kind, used: Use) -> Map<String, Value> {
    let schema = match kind {
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Slug(most) => json!({ "type": "string", "pattern": SLUG, "maxLength": most }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer(least, most, _) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Duration(least) => json!({
            "anyOf": [
                { "type": "integer", "minimum": least, "maximum": i32::MAX },
                { "type": "string", "pattern": "^[0-9]+ ?[smhd]?$" },
            ],
            "examples": ["90s", "5m", "2h", "3d"],
        }),
        Kind::Word(choices) => json!({ "enum": choices }),
        Kind::Url => json!({ "type": "string", "pattern": "^(https?://|\\$\\{env:)" }),
        Kind::UrlOrObject(object) => {
            json!({ "anyOf": [nested(&Kind::Url, used), reference(&Use::Written.name(object))] })
        }
        Kind::Json => json!({}),
        Kind::Pattern => json!({ "type": "object" }),
        Kind::Schema => json!({ "type": ["object", "boolean"] }),
        Kind::List(item) => json!({ "type": "array", "items": nested(item, used) }),
        Kind::TextOrList => json!({
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string", "minLength": 1 } },
            ],
        }),
        Kind::Map(value) => json!({ "type": "object", "additionalProperties": nested(value, used) }),
        Kind::MapOrEmpty(value) => {
            json!({
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": SLUG, "not": { "const": RUN } },
                "additionalProperties": { "anyOf": [nested(value, used), { "type": "null" }] },
            })
        }
        // A handler is replaced as a whole, never merged.
        Kind::Object(object) if object.name == HANDLER.name => reference(&Use::Written.name(object)),
        Kind::Object(object) => reference(&used.name(object)),
        Kind::Overrides(object) => reference(&Use::Overriding.name(object)),
    };
    if let Value::Object(schema) = schema { schema } else { Map::new() }
}

fn nested(inner: &Kind, used: Use) -> Value {
    Value::Object(kind(inner, used))
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}
