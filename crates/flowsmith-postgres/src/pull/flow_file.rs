//! The flow file of a live flow.

use std::path::PathBuf;
use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value;

use flowsmith_core::catalog::{
    Annotations, FailureMode, Flow, FlowOptions, Input, Step, StepKind, Trigger, TriggerSource,
};

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    templates.add_filter("json", |value: minijinja::Value| {
        serde_json::to_string(&value).expect("the fields of a flow file have string keys only")
    });
    templates
        .add_template("flow", include_str!("../../templates/flow.yaml"))
        .expect("the template in the binary is well-formed, as the tests render it");
    templates
});

/// A flow file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledFile {
    /// The name in the flows folder.
    pub name: PathBuf,
    /// The content as YAML.
    pub content: String,
}

#[derive(Serialize)]
struct FlowContext<'a> {
    flow: String,
    version: u32,
    description: &'a Option<String>,
    owner: &'a Option<String>,
    labels: &'a std::collections::BTreeMap<String, String>,
    input: &'a Option<Value>,
    defaults: Vec<EntryContext>,
    steps: Vec<StepContext>,
    triggers: Vec<Vec<EntryContext>>,
}

#[derive(Serialize)]
struct StepContext {
    slug: String,
    entries: Vec<EntryContext>,
}

/// A key and its value in YAML syntax.
#[derive(Serialize)]
struct EntryContext {
    key: &'static str,
    value: String,
}

/// The flow file of a flow. Parsing the file returns the same flow.
pub fn flow_file(flow: &Flow) -> PulledFile {
    let context = FlowContext {
        flow: yaml_slug(&flow.id.slug),
        version: flow.id.version,
        description: &flow.annotations.description,
        owner: &flow.annotations.owner,
        labels: &flow.annotations.labels,
        input: &flow.annotations.input,
        defaults: defaults(flow.options),
        steps: flow.steps.iter().map(|step| step_context(step, &flow.annotations)).collect(),
        triggers: flow.triggers.iter().map(trigger_context).collect(),
    };
    let content = TEMPLATES
        .get_template("flow")
        .and_then(|template| template.render(Serde(&context)))
        .expect("every field that the template reads is in the context, as the tests render them all");
    PulledFile { name: PathBuf::from(format!("{}.yaml", flow.id.database_slug())), content }
}

fn defaults(options: FlowOptions) -> Vec<EntryContext> {
    let default = FlowOptions::DEFAULT;
    [
        ("max_attempts", options.max_attempts, default.max_attempts),
        ("base_delay", options.base_delay, default.base_delay),
        ("timeout", options.timeout, default.timeout),
    ]
    .into_iter()
    .filter(|(_, value, default)| value != default)
    .map(|(key, value, _)| EntryContext { key, value: value.to_string() })
    .collect()
}

fn step_context(step: &Step, annotations: &Annotations) -> StepContext {
    let mut entries = Vec::new();
    let mut entry = |key, value: Option<String>| entries.extend(value.map(|value| EntryContext { key, value }));
    let json = |value: &Value| value.to_string();
    let mode = |mode: FailureMode, default| (mode != default).then(|| mode.as_str().to_owned());
    entry("handler", annotations.handlers.get(&step.slug).map(json));
    match step.kind {
        StepKind::Map => entry("map", Some(step.depends_on.first().map_or("run".to_owned(), |slug| yaml_slug(slug)))),
        StepKind::Single if step.depends_on.is_empty() => {}
        StepKind::Single => entry("depends_on", Some(yaml_list(&step.depends_on))),
    }
    entry("if", step.required_input_pattern.as_ref().map(json));
    entry("if_not", step.forbidden_input_pattern.as_ref().map(json));
    entry("when_unmet", mode(step.when_unmet, FailureMode::Skip));
    entry("when_exhausted", mode(step.when_exhausted, FailureMode::Fail));
    entry("max_attempts", step.max_attempts.map(|value| value.to_string()));
    entry("base_delay", step.base_delay.map(|value| value.to_string()));
    entry("timeout", step.timeout.map(|value| value.to_string()));
    entry("start_delay", step.start_delay.map(|value| value.to_string()));
    entry("output", annotations.outputs.get(&step.slug).map(json));
    StepContext { slug: yaml_slug(&step.slug), entries }
}

fn trigger_context(trigger: &Trigger) -> Vec<EntryContext> {
    let mut entries = vec![EntryContext { key: "name", value: yaml_slug(&trigger.name) }];
    let mut entry = |key, value: Option<String>| entries.extend(value.map(|value| EntryContext { key, value }));
    // JSON strings are valid YAML.
    let text = |text: &str| Value::from(text).to_string();
    entry("description", trigger.description.as_deref().map(text));
    match &trigger.source {
        TriggerSource::Cron { schedule, input } => {
            entry("cron", Some(text(schedule)));
            entry("input", Some(input.to_string()));
        }
        TriggerSource::Table(table) => {
            let on: Vec<&str> = table.on.iter().map(|event| event.as_str()).collect();
            entry("table", Some(text(table.table.as_str())));
            entry("on", Some(format!("[{}]", on.join(", "))));
            entry("when", table.when.as_deref().map(text));
            match &table.input {
                Input::Value(value) => entry("input", Some(value.to_string())),
                Input::Sql(sql) => entry("input_sql", Some(text(sql))),
            }
            entry("strict", table.strict.then(|| "true".to_owned()));
        }
        TriggerSource::Queue { kind, queue, input_sql } => {
            entry("queue", Some(text(&format!("{}:{queue}", kind.as_str()))));
            entry("input_sql", input_sql.as_deref().map(text));
        }
    }
    entries
}

fn yaml_list(slugs: &[String]) -> String {
    format!("[{}]", slugs.iter().map(|slug| yaml_slug(slug)).collect::<Vec<_>>().join(", "))
}

/// A slug in YAML syntax; quoted if a parser of YAML 1.1 or 1.2 would not read the bare word as a string.
fn yaml_slug(slug: &str) -> String {
    let taken = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if taken.contains(&slug.to_lowercase().as_str()) { format!("\"{slug}\"") } else { slug.to_owned() }
}
