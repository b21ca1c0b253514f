//! JSON Schemas that take exponential time or memory, or refer to other documents.

use std::fs;

use flowsmith_core::check::{CheckSettings, Checked, check};
use flowsmith_core::finding::Code;
use flowsmith_core::source::Sources;
use serde_json::{Value, json};

use crate::shared::program::Program;

/// Checks a flow with this input schema, and with triggers that have these inputs.
fn checked(schema: &Value, inputs: &[Value]) -> Checked {
    let trigger = |(index, input)| json!({ "name": format!("t{index}"), "cron": "@daily", "input": input });
    let triggers: Vec<_> = inputs.iter().enumerate().map(trigger).collect();
    let flow = json!({ "flow": "order", "input": schema, "steps": { "load": {} }, "triggers": triggers });
    check(&Sources::one("flows/order.yaml", flow.to_string()), &CheckSettings::default())
}

#[track_caller]
fn assert_codes(schema: &Value, inputs: &[Value], codes: &[Code]) {
    let checked = checked(schema, inputs);
    let found: Vec<_> = checked.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(found, codes, "{:#?}", checked.findings);
    for finding in &checked.findings {
        assert!(finding.help.is_some() && finding.message.len() < 2100, "{finding:#?}");
    }
}

/// Definitions of which each refers to the next one twice: 2 to the power of `length` copies of the last.
fn doubling(length: usize, keyword: &str, last: Value) -> Value {
    let mut definitions = serde_json::Map::new();
    for index in 0..length {
        let next = json!({ "$ref": format!("#/$defs/d{}", index + 1) });
        let both = match keyword {
            "properties" => json!({ "properties": { "a": next, "b": next } }),
            "if" => json!({ "if": next, "then": next }),
            "items" => json!({ "items": next, "contains": next }),
            "unevaluatedProperties" => json!({ "allOf": [next, next], "unevaluatedProperties": false }),
            _ => json!({ keyword: [next, next] }),
        };
        definitions.insert(format!("d{index}"), both);
    }
    definitions.insert(format!("d{length}"), last);
    json!({ "$ref": "#/$defs/d0", "$defs": definitions })
}

#[test]
fn references_that_double_are_refused_before_they_are_expanded() {
    let last = json!({ "type": "object", "required": ["x"] });
    for keyword in ["allOf", "anyOf", "oneOf", "properties", "if", "items", "unevaluatedProperties"] {
        let schema = doubling(40, keyword, last.clone());
        assert_codes(&schema, &[json!({}), json!({ "x": 1 })], &[Code::ExpensiveSchema]);
    }
    // With anchors in place of pointers.
    let mut schema = doubling(40, "allOf", last);
    for (index, definition) in (0..40).zip(1..) {
        let anchored = json!({ "$anchor": format!("n{index}"), "allOf": [
            { "$ref": format!("#n{definition}") }, { "$dynamicRef": format!("#n{definition}") },
        ] });
        schema["$defs"][format!("d{index}")] = anchored;
    }
    schema["$defs"]["d40"] = json!({ "$anchor": "n40" });
    assert_codes(&schema, &[], &[Code::ExpensiveSchema]);
}

#[test]
fn recursion_that_doubles_with_each_level_of_the_input_is_refused_for_deep_inputs() {
    let child = json!({ "properties": { "child": { "$ref": "#" } } });
    let schema = json!({ "allOf": [child, child] });
    let nested = |levels| (0..levels).fold(json!({}), |inner, _| json!({ "child": inner }));
    assert_codes(&schema, &[nested(5)], &[]);
    assert_codes(&schema, &[nested(50)], &[Code::ExpensiveSchema]);
}

#[test]
fn chains_of_references_are_limited_in_depth() {
    let chain = |length: usize| {
        let mut definitions = serde_json::Map::new();
        for index in 0..length {
            definitions.insert(format!("d{index}"), json!({ "$ref": format!("#/$defs/d{}", index + 1) }));
        }
        definitions.insert(format!("d{length}"), json!({ "type": "object" }));
        json!({ "$ref": "#/$defs/d0", "$defs": definitions })
    };
    assert_codes(&chain(200), &[json!({})], &[]);
    assert_codes(&chain(30_000), &[json!({})], &[Code::ExpensiveSchema]);
}

#[test]
fn references_to_themselves_end() {
    assert_codes(&json!({ "$ref": "#" }), &[json!({})], &[]);
    let both = json!({ "$ref": "#/$defs/b", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } });
    assert_codes(&both, &[json!({})], &[]);
    let every =
        |index: usize| (0..12).map(move |other| json!({ "$ref": format!("#/$defs/d{}", (index + other) % 12) }));
    let definitions: serde_json::Map<_, _> =
        (0..12).map(|index| (format!("d{index}"), json!({ "allOf": Value::from_iter(every(index)) }))).collect();
    let complete = json!({ "$ref": "#/$defs/d0", "$defs": definitions, "unevaluatedProperties": false });
    assert_codes(&complete, &[], &[Code::ExpensiveSchema]);
}

#[test]
fn other_documents_are_never_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("s.json"), "{\"type\": \"s3cret\"}").unwrap();
    let here = format!("file://{}/s.json", folder.path().display());
    for reference in
        [here.as_str(), "s.json", "/etc/passwd", "http://127.0.0.1:1/", "https://json-schema.org/draft/2020-12/schema"]
    {
        for keyword in ["$ref", "$dynamicRef"] {
            assert_codes(&json!({ keyword: reference }), &[], &[Code::InvalidSchema]);
        }
        let with_base = json!({ "$defs": { "a": { "$id": reference, "$ref": "#/$defs/b" } }, "$ref": "#/$defs/a" });
        assert_codes(&with_base, &[], &[Code::InvalidSchema]);
    }
    let checked = checked(&json!({ "$schema": here, "$ref": here }), &[]);
    assert!(checked.has_errors() && !format!("{:?}", checked.findings).contains("s3cret"), "{:?}", checked.findings);
}

#[test]
fn regular_expressions_are_limited() {
    let nested = "((((a{1,100}){1,100}){1,100}){1,100}){1,100}";
    let long = "a".repeat(10_000);
    let many: serde_json::Map<_, _> =
        (0..5_000).map(|index| (format!("p{index}"), json!({ "pattern": format!("a{index}") }))).collect();
    assert_codes(&json!({ "pattern": nested }), &[], &[Code::InvalidSchema]);
    assert_codes(&json!({ "patternProperties": { nested: true } }), &[], &[Code::InvalidSchema]);
    assert_codes(&json!({ "pattern": long }), &[], &[Code::ExpensiveSchema]);
    assert_codes(&json!({ "properties": many }), &[], &[Code::ExpensiveSchema]);
    // Each compiled expression is as large as it can be.
    let steps: serde_json::Map<_, _> = (0..500)
        .map(|index| {
            (format!("s{index}"), json!({ "output": { "pattern": format!("^(a{{1,100}}){{1,50}}{index}$") } }))
        })
        .collect();
    let flow = json!({ "flow": "order", "steps": steps }).to_string();
    let checked = check(&Sources::one("flows/order.yaml", flow), &CheckSettings::default());
    let found = checked.findings.iter().filter(|finding| finding.code == Code::ExpensiveSchema).count();
    assert_eq!(found, 1, "{:#?}", checked.findings.len());
}

#[test]
fn backtracking_is_limited_for_all_inputs_of_a_file() {
    let schema = json!({ "type": "array", "contains": { "pattern": "^(?=(a+)+$)\\1$" } });
    let text = format!("{}!", "a".repeat(200));
    let inputs: Vec<_> = (0..200).map(|_| Value::from_iter(vec![text.clone(); 100])).collect();
    let checked = checked(&schema, &inputs);
    let found = checked.findings.iter().filter(|finding| finding.code == Code::ExpensiveSchema).count();
    assert_eq!(found, 1, "{} findings, {:?}", checked.findings.len(), checked.findings.first());
}

#[test]
fn ordinary_schemas_stay_within_the_limits() {
    let address = json!({ "type": "object", "required": ["city"], "unevaluatedProperties": false,
        "properties": { "city": { "type": "string", "pattern": "^(?!\\s)\\p{L}{1,20}$" }, "zip": { "$ref": "#/$defs/zip" } } });
    let schema = json!({
        "$id": "https://example.com/order",
        "type": "object",
        "properties": { "from": { "$ref": "#/$defs/address" }, "to": { "$ref": "#/$defs/address" },
            "parts": { "type": "array", "items": { "oneOf": [{ "$ref": "#/$defs/part" }, { "type": "string" }] } } },
        "$defs": { "address": address, "zip": { "type": "string", "pattern": "^[0-9]{5}$" },
            "part": { "type": "object", "properties": { "parts": { "type": "array", "items": { "$ref": "#/$defs/part" } } } } },
    });
    let parts = json!(vec![json!({ "parts": [{ "parts": [] }, {}] }); 1_000]);
    let input = json!({ "from": { "city": "Köln", "zip": "50667" }, "to": { "city": "Bonn" }, "parts": parts });
    assert_codes(&schema, &[input], &[]);
}

#[test]
fn program_survives_a_schema_that_expands_to_gigabytes() {
    let project = tempfile::tempdir().unwrap();
    fs::create_dir(project.path().join("flows")).unwrap();
    let schema = doubling(30, "oneOf", json!({ "type": "object", "required": ["x"] }));
    let flow = json!({ "flow": "order", "input": schema, "steps": { "load": {} },
        "triggers": [{ "name": "t", "cron": "@daily" }] });
    fs::write(project.path().join("flows/order.yaml"), flow.to_string()).unwrap();
    // Two gigabytes of addresses, and about a hundred times the time that it takes.
    let checked = Program::in_folder(project.path())
        .shell("ulimit -v 2000000 && timeout --signal=KILL 60 flowsmith check --format json");
    assert_eq!(checked.exit, Some(4), "{checked:?}");
    assert!(checked.stdout.contains("FS115"), "{checked:?}");
}
