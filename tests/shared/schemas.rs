//! JSON reports fit their committed schemas.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Asserts that reports fit a schema and that each value of its enumerations occurs.
pub(crate) fn assert_fits(name: &str, reports: &[String]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let mut written = BTreeSet::new();
    for report in reports {
        let report: Value = serde_json::from_str(report).unwrap();
        let errors: Vec<_> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?} in {report:#}");
        texts(&report, &mut written);
    }
    let mut choices = BTreeSet::new();
    enumerated(&schema, &mut choices);
    let unused: Vec<_> = choices.difference(&written).collect();
    assert!(unused.is_empty(), "{name} allows what is never written: {unused:?}");
}

fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            into.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, into)),
        _ => {}
    }
}

fn enumerated(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| enumerated(item, into)),
        Value::Object(fields) => {
            if let Some(choices) = fields.get("enum") {
                texts(choices, into);
            }
            fields.values().for_each(|field| enumerated(field, into));
        }
        _ => {}
    }
}
