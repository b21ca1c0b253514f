//! The committed schemas, the example flows, and the machine-readable formats of findings.

use std::fs;
use std::path::Path;

use flowsmith::report::findings::{Report, github, json, sarif, text};
use flowsmith_core::catalog::State;
use flowsmith_core::check::{CheckSettings, check};
use flowsmith_core::definition::json_schema;
use flowsmith_core::finding::Code;
use flowsmith_core::source::{Sources, Value, parse};
use serde_json::Value as Json;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn schema(name: &str) -> jsonschema::Validator {
    let text = fs::read_to_string(root().join("schema").join(name)).expect("a schema");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a valid schema")
}

#[test]
fn committed_schema_equals_the_format() {
    let path = root().join("schema/flow.v1.json");
    let written = format!("{:#}\n", json_schema());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &written).expect("a place for the schema");
    }
    assert_eq!(fs::read_to_string(path).expect("a schema"), written, "regenerate it with UPDATE=1");
}

#[test]
fn example_flows_have_no_findings_and_fit_the_schema() {
    let sources = Sources::project(root());
    let checked = check(&sources, &CheckSettings::default());
    assert_eq!(checked.findings, [], "{}", text(&Report::new(&checked, &sources), false));
    assert_eq!(checked.catalog.len(), 5);
    assert_eq!(checked.catalog.get("signup").map(|flow| flow.state), Some(State::Draining));
    assert_eq!(checked.catalog.get("signup_v2").map(|flow| flow.state), Some(State::Current));
    let schema = schema("flow.v1.json");
    for name in sources.discover().0 {
        let text = sources.read(&name).expect("text");
        for document in parse(&text, &name, &mut flowsmith_core::finding::Findings::default()) {
            let errors: Vec<_> = schema.iter_errors(&document.to_json()).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", name.display());
        }
    }
}

#[test]
fn accepted_overrides_fit_the_schema() {
    let name = Path::new("tests/cases/check/environment_overrides_merge_key_by_key/flow.yaml");
    let text = fs::read_to_string(root().join(name)).expect("a case");
    let schema = schema("flow.v1.json");
    for document in parse(&text, name, &mut flowsmith_core::finding::Findings::default()) {
        let errors: Vec<_> = schema.iter_errors(&document.to_json()).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn example_flows_use_every_key_of_the_format() {
    let sources = Sources::project(root());
    let mut used = Vec::new();
    for name in sources.discover().0 {
        let text = sources.read(&name).expect("text");
        for document in parse(&text, &name, &mut flowsmith_core::finding::Findings::default()) {
            keys(&document, &mut used);
        }
    }
    for object in [
        &flowsmith_core::definition::shape::FLOW,
        &flowsmith_core::definition::shape::STEP,
        &flowsmith_core::definition::shape::TRIGGER,
        &flowsmith_core::definition::shape::HANDLER,
    ] {
        for field in object.fields {
            assert!(used.contains(&field.name.to_owned()), "no example has `{}` of a {}", field.name, object.name);
        }
    }
}

fn keys(node: &flowsmith_core::source::Node, used: &mut Vec<String>) {
    for (key, value) in node.entries() {
        used.push(key.name.clone());
        keys(value, used);
    }
    if let Value::List(items) = &node.value {
        items.iter().for_each(|item| keys(item, used));
    }
}

/// A project with findings of every kind: of a line, a whole file, two files and an environment.
fn report() -> Report {
    let files = [
        ("flows/a, b: 100%.yaml", "flow: a\nsteps:\n  größe: {}\n  load: { depends_on: [größe, lod] }\n".as_bytes()),
        ("flows/b.toml", b"flow = \"b\"\n[steps.load]\n[environments.production.steps.load]\ntimeout = 0\n"),
        ("flows/c.yaml", b"flow: b\nsteps: { load: { max_attempts: 0 } }\n"),
        ("flows/d.yaml", b"\xff"),
    ];
    let sources = Sources::Memory(files.into_iter().map(|(name, text)| (name.into(), text.to_vec())).collect());
    Report::new(&check(&sources, &CheckSettings::default()), &sources)
}

#[test]
fn json_fits_its_schema_and_counts_columns_in_characters() {
    let written: Json = serde_json::from_str(&json(&report())).expect("JSON");
    let errors: Vec<_> = schema("findings.v1.json").iter_errors(&written).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let unknown = written["findings"].as_array().expect("findings").iter().find(|finding| finding["code"] == "FS301");
    let unknown = unknown.expect("an unknown dependency");
    assert_eq!((&unknown["line"], &unknown["column"], &unknown["end_column"]), (&4.into(), &31.into(), &34.into()));
    assert_eq!(written["summary"]["files"], 4);
    let of_file = written["findings"].as_array().expect("findings").iter().find(|finding| finding["code"] == "FS004");
    assert_eq!(of_file.expect("a file that is not text")["line"], Json::Null);
}

#[test]
fn github_commands_are_escaped_and_one_per_line() {
    let written = github(&report());
    let first = written.lines().next().expect("a command");
    assert!(
        first
            .starts_with("::error file=flows/a%2C b%3A 100%25.yaml,line=3,col=3,endLine=3,endColumn=7,title=FS201%3A "),
        "{first}"
    );
    assert_eq!(written.lines().count(), report().findings.len());
    assert!(written.lines().all(|line| line.starts_with("::error ") || line.starts_with("::warning ")), "{written}");
    assert!(first.contains("%0Ahelp: "), "{first}");
}

#[test]
fn sarif_contains_rules_and_regions() {
    let log: Json = serde_json::from_str(&sarif(&report())).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), Code::FINDINGS.len());
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), report().findings.len());
    for result in results {
        let rule = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("a small one");
        assert_eq!(rules[rule]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().expect("a file");
        assert!(!uri.contains([' ', ':', ',']), "{uri}");
        if let Some(region) = place.get("region") {
            assert!(
                ["startLine", "startColumn", "endLine", "endColumn"].iter().all(|key| region[key].as_u64() > Some(0))
            );
        }
    }
}

#[test]
fn text_is_colored_only_on_request() {
    assert!(!text(&report(), false).contains('\u{1b}'));
    assert!(text(&report(), true).contains('\u{1b}'));
}
