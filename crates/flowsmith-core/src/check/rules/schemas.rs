//! Rules for `input` and `output`: they are valid JSON Schemas without external references.

use serde_json::Value;

use crate::definition::FlowFile;
use crate::finding::{Code, Finding, Findings};
use crate::finding::{FieldPath, Segment};
use crate::json_schema::{Schema, SchemaError};
use crate::words;

const TYPES: [&str; 7] = ["object", "array", "string", "integer", "number", "boolean", "null"];

pub(super) fn check(flow: &FlowFile, findings: &mut Findings) {
    if let Some(input) = &flow.input {
        schema(input, &|| FieldPath::root().key("input"), findings);
    }
    for step in &flow.steps {
        if let Some(output) = &step.output {
            schema(output, &|| super::step_path(step).key("output"), findings);
        }
    }
}

fn schema(schema: &Value, path: &dyn Fn() -> FieldPath, findings: &mut Findings) {
    if is_plain(schema) || !(schema.is_object() || schema.is_boolean()) {
        return;
    }
    if findings.is_full() {
        return;
    }
    let work = match Schema::compile(schema) {
        Ok(compiled) => compiled.work(),
        Err(error) => {
            findings.push(invalid(error, path()));
            1
        }
    };
    spend(work, path, findings);
}

/// Spends work, and reports the first schema that exceeds the limit of its file.
pub(super) fn spend(work: u64, path: &dyn Fn() -> FieldPath, findings: &mut Findings) -> bool {
    let was_exceeded = !findings.spend(0);
    let is_within = findings.spend(work);
    if !is_within && !was_exceeded {
        let message = "the schemas of this file, and the inputs that are checked against them, take too long to check";
        let finding = Finding::new(Code::ExpensiveSchema, path(), message).label("exceeds the limit");
        findings.push(finding.help("split the file, and use fewer regular expressions and smaller inputs"));
    }
    is_within
}

fn invalid(error: SchemaError, path: FieldPath) -> Finding {
    match error {
        SchemaError::Reference { pointer } => {
            let path = below(path, &pointer);
            let message = format!("`{path}` cannot be resolved within this schema");
            let finding = Finding::new(Code::InvalidSchema, path, message).label("unresolved reference");
            finding.help("put the schema under `$defs` and refer to it as `#/$defs/<name>`; schemas are not fetched")
        }
        SchemaError::TooExpensive { pointer, limit } => {
            let message = format!("the schema at `{path}` is too large: {limit}");
            let finding = Finding::new(Code::ExpensiveSchema, below(path, &pointer), message);
            finding
                .label("exceeds the limit")
                .help("simplify the schema: each reference counts as a copy of its target")
        }
        SchemaError::Invalid(error) => {
            let path = below(path, error.instance_path().as_str());
            let message = format!("`{path}` is not a valid JSON Schema: {error}");
            let help = match (path.segments().last(), error.instance().as_str()) {
                (Some(Segment::Key(key)), Some(written)) if key == "type" => words::suggest(written, TYPES.into_iter()),
                _ => "see https://json-schema.org/draft/2020-12 for the values of each keyword".to_owned(),
            };
            Finding::new(Code::InvalidSchema, path, message).label("invalid value").help(help)
        }
    }
}

/// Appends a JSON pointer to a path.
pub(super) fn below(path: FieldPath, pointer: &str) -> FieldPath {
    pointer.split('/').skip(1).fold(path, |path, name| match name.parse() {
        Ok(index) => path.index(index),
        Err(_) => path.key(name.replace("~1", "/").replace("~0", "~")),
    })
}

/// The maximum length of `required` for [`is_plain`], which compares each pair of names.
const MAX_PLAIN_NAMES: usize = 64;

/// Whether a schema is valid and uses only the most common keywords. Other schemas are compiled to check them. This fast path
/// exists because compiling ten thousand schemas would take longer than the rest of the check.
fn is_plain(schema: &Value) -> bool {
    let Value::Object(keywords) = schema else { return schema.is_boolean() };
    keywords.iter().all(|(keyword, value)| match keyword.as_str() {
        "type" => value.as_str().is_some_and(|name| TYPES.contains(&name)),
        "properties" => value.as_object().is_some_and(|properties| properties.values().all(is_plain)),
        "items" | "additionalProperties" => is_plain(value),
        "required" => value.as_array().is_some_and(|names| {
            names.len() <= MAX_PLAIN_NAMES
                && names.iter().all(Value::is_string)
                && names.iter().enumerate().all(|(place, name)| !names[..place].contains(name))
        }),
        "title" | "description" => value.is_string(),
        "minimum" | "maximum" => value.is_number(),
        "minLength" | "maxLength" | "minItems" | "maxItems" => value.is_u64(),
        _ => false,
    })
}
