//! The catalog contains the content of the files.

use flowsmith_core::catalog::{FailureMode, Flow, FlowOptions, StepKind};
use flowsmith_core::check::{CheckSettings, Checked, check};
use flowsmith_core::source::Sources;
use serde_json::json;

fn check_text(text: &str, environment: Option<&str>) -> Checked {
    let settings = CheckSettings { environment: environment.map(str::to_owned), ..CheckSettings::default() };
    let checked = check(&Sources::one("flows/a.yaml", text), &settings);
    assert_eq!(checked.findings, []);
    checked
}

#[test]
fn steps_keep_the_order_of_the_file_if_dependencies_allow_it() {
    let text = "flow: a\nsteps:\n  last: { depends_on: [z, b] }\n  z: {}\n  b: { map: z }\n  first: {}\n";
    let checked = check_text(text, None);
    let flow = checked.catalog.get("a").expect("the flow");
    let order: Vec<_> = flow.steps.iter().map(|step| step.slug.as_str()).collect();
    assert_eq!(order, ["z", "b", "last", "first"]);
    assert_eq!(flow.steps[2].depends_on, ["b", "z"]);
    assert_eq!((flow.steps[1].kind, flow.steps[1].depends_on.as_slice()), (StepKind::Map, &["z".to_owned()][..]));
}

#[test]
fn flow_options_are_complete_and_step_options_as_written() {
    let text =
        "flow: a\ndefaults: { timeout: 2m }\nsteps:\n  b: { timeout: 120, start_delay: 0 }\n  c: { base_delay: 1h }\n";
    let checked = check_text(text, None);
    let flow = checked.catalog.get("a").expect("the flow");
    assert_eq!(flow.options, FlowOptions { timeout: 120, ..FlowOptions::DEFAULT });
    let [b, c] = flow.steps.as_slice() else { panic!("two steps") };
    assert_eq!((b.timeout, b.start_delay, b.max_attempts), (Some(120), Some(0), None));
    assert_eq!((c.timeout, c.start_delay, c.base_delay), (None, None, Some(3600)));
}

#[test]
fn patterns_are_canonical_and_modes_have_their_defaults() {
    let text = "flow: a\nsteps:\n  b: { if: { z: 1e2, a: [2.0, 0.5] }, when_exhausted: skip-cascade }\n";
    let checked = check_text(text, None);
    let step = &checked.catalog.get("a").expect("the flow").steps[0];
    assert_eq!(step.required_input_pattern, Some(json!({ "a": [2, 0.5], "z": 100 })));
    assert_eq!((step.when_unmet, step.when_exhausted), (FailureMode::Skip, FailureMode::SkipCascade));
}

#[test]
fn environment_changes_only_the_overridden_fields() {
    let root = Sources::project(env!("CARGO_MANIFEST_DIR"));
    let settings = CheckSettings { environment: Some("production".to_owned()), ..CheckSettings::default() };
    let (base, production) = (check(&root, &CheckSettings::default()), check(&root, &settings));
    let (base_flow, flow) = (base.catalog.get("order_fulfilment_v2"), production.catalog.get("order_fulfilment_v2"));
    let (mut changed, flow) = (Flow::clone(base_flow.expect("the flow")), flow.expect("the flow"));
    changed.options.max_attempts = 8;
    let ship = changed.steps.iter_mut().find(|step| step.slug == "ship").expect("the step");
    ship.timeout = Some(600);
    changed.triggers.extend(flow.triggers.iter().find(|trigger| trigger.name == "paid").cloned());
    assert_eq!(changed.triggers.len(), 2);
    assert_eq!(&changed, &**flow);
    assert_eq!(base.catalog.get("signup"), production.catalog.get("signup"));
}

#[test]
fn flows_with_errors_are_excluded_from_the_catalog() {
    let text =
        "flow: a\nsteps: { b: {} }\n---\nflow: c\nsteps: { b: { timeout: 0 } }\n---\nflow: a\nsteps: { b: {} }\n";
    let checked = check(&Sources::one("flows/a.yaml", text), &CheckSettings::default());
    assert_eq!(checked.catalog.iter().map(|(slug, _)| slug).collect::<Vec<_>>(), ["a"]);
    assert_eq!(checked.origins["a"].document, 0);
    assert!(checked.has_errors());
}

#[test]
fn triggers_belong_to_their_flow() {
    let checked = check(&Sources::project(env!("CARGO_MANIFEST_DIR")), &CheckSettings::default());
    assert_eq!(checked.triggers, 4);
    assert_eq!(checked.catalog.get("order_fulfilment_v2").unwrap().triggers.len(), 1);
    let settings = CheckSettings { environment: Some("production".to_owned()), ..CheckSettings::default() };
    let checked = check(&Sources::project(env!("CARGO_MANIFEST_DIR")), &settings);
    assert_eq!(checked.triggers, 7);
}
