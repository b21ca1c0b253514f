//! Rendering of a change set as SQL, with `templates/migration.sql`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::plan::FORMAT;
use super::{Migration, Version};
use crate::catalog::{FailureMode, Flow, FlowOptions, Step, StepKind, digest};
use crate::diff::{Alteration, Change, Class, FlowDelta, StepDelta};
use crate::level::Level;
use crate::sql::quote;

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    templates.add_filter("literal", |text: &str| quote::literal(text));
    templates.add_filter("comment", |text: &str| quote::comment(text));
    templates
        .add_template("migration", include_str!("../../templates/migration.sql"))
        .expect("the template in the binary is well-formed, as the tests render it");
    templates
});

#[derive(Serialize)]
struct MigrationContext<'a> {
    id: String,
    version: String,
    name: &'a str,
    summary: Vec<String>,
    engine: &'static str,
    plan: String,
    plan_tag: String,
    body_tag: String,
    calls_tag: String,
    gone: Vec<GoneContext>,
    made: Vec<MadeContext<'a>>,
    tuned: Vec<TunedContext<'a>>,
    /// The slugs of the flows whose triggers are synchronised.
    triggers: Vec<&'a str>,
}

/// A flow that is deleted, or whose steps are deleted to create them again.
#[derive(Serialize)]
struct GoneContext {
    id: String,
    slug: String,
    /// The verb in the function's name, as in `flowsmith.drop_flow`: `drop` or `reset`.
    action: &'static str,
}

/// A flow that is created, or created again.
#[derive(Serialize)]
struct MadeContext<'a> {
    id: String,
    slug: String,
    options: Vec<OptionContext>,
    steps: Vec<StepContext<'a>>,
}

/// A flow whose options change.
#[derive(Serialize)]
struct TunedContext<'a> {
    id: String,
    slug: String,
    updates: Vec<UpdateContext<'a>>,
}

#[derive(Serialize)]
struct StepContext<'a> {
    slug: &'a str,
    depends_on: &'a [String],
    options: Vec<OptionContext>,
}

/// A named argument or a column with its value as SQL.
#[derive(Serialize)]
struct OptionContext {
    name: &'static str,
    value: String,
}

/// One statement `update … where … is distinct from …`.
#[derive(Serialize)]
struct UpdateContext<'a> {
    table: &'static str,
    step: Option<&'a str>,
    set: Vec<OptionContext>,
}

/// Renders one migration. `files` contains the source file of each database slug.
pub(super) fn render(version: Version, name: &str, changes: &[Change], files: &BTreeMap<String, PathBuf>) -> Migration {
    let needs_conditions = |change: &Change| {
        let flow = change.result();
        flow.is_some_and(|flow| flow.steps.iter().any(Step::needs_conditions))
    };
    let engine = if changes.iter().any(needs_conditions) { Level::V0_14 } else { Level::V0_7_2 };
    let plan = plan_json(engine, changes);
    let summary = summary(changes, files);
    let triggers: Vec<&str> =
        BTreeSet::from_iter(changes.iter().filter(|c| touches_triggers(c)).map(slug)).into_iter().collect();
    // Every string in the body comes from the plan or is the name, so a tag that is in neither cannot be closed by a value.
    let texts = || [plan.as_str(), name].into_iter();
    let context = MigrationContext {
        id: format!("{version}_{name}"),
        version: version.to_string(),
        name,
        summary,
        engine: engine.as_str(),
        plan_tag: quote::dollar_tag("plan", texts()),
        body_tag: quote::dollar_tag("flowsmith", texts()),
        calls_tag: quote::dollar_tag("calls", texts()),
        gone: changes.iter().filter_map(gone).collect(),
        made: changes.iter().filter_map(made).collect(),
        tuned: changes.iter().filter_map(tuned).collect(),
        triggers,
        plan,
    };
    let content = TEMPLATES
        .get_template("migration")
        .and_then(|template| template.render(minijinja::value::Serde(&context)))
        .expect("every field that the template reads is in the context, as the tests render them all");
    Migration { version, name: name.to_owned(), content: content + "\n" }
}

fn summary(changes: &[Change], files: &BTreeMap<String, PathBuf>) -> Vec<String> {
    let mut lines = Vec::new();
    for change in changes {
        let file = files.get(&change.database_slug()).map(|file| format!("  ({})", file.display())).unwrap_or_default();
        lines.push(format!("{} {}: {}{file}", change.sign(), change.id(), change.summary()));
        match change {
            Change::Alter(alteration) if alteration.deltas.len() > 1 => {
                lines.extend(alteration.deltas.iter().map(|delta| format!("    {delta}")));
            }
            Change::Create(flow) => {
                lines.extend(flow.triggers.iter().map(|t| format!("    trigger {}: {}", t.name, t.what())))
            }
            _ => {}
        }
        if change.class() == Class::Replace {
            lines.push("    refused by the database if the flow has any runs".to_owned());
        }
    }
    lines
}

fn plan_json(engine: Level, changes: &[Change]) -> String {
    let entries: Vec<String> = changes.iter().map(entry_json).collect();
    format!("{{\"format\":{FORMAT},\"engine\":\"{engine}\",\"entries\":[\n{}\n]}}", entries.join(",\n"))
}

/// One entry in the format of [`super::plan::Entry`]. It is concatenated from JSON texts, so that each definition is serialised
/// only once.
fn entry_json(change: &Change) -> String {
    let id = change.id();
    let slug = || serde_json::to_string(&id.slug).expect("a string is JSON");
    match (change, change.result()) {
        (Change::Alter(alteration), _) if only_state(alteration) => {
            let state = alteration.to.state.as_str();
            format!(r#"{{"do":"state","flow":{},"version":{},"state":"{state}"}}"#, slug(), id.version)
        }
        (_, Some(flow)) => {
            let definition = flow.to_canonical();
            let (state, digest) = (flow.state.as_str(), digest(&definition));
            format!(r#"{{"do":"put","state":"{state}","digest":"{digest}","definition":{definition}}}"#)
        }
        (_, None) => format!(r#"{{"do":"drop","flow":{},"version":{}}}"#, slug(), id.version),
    }
}

fn only_state(alteration: &Alteration) -> bool {
    alteration.deltas.iter().all(|delta| matches!(delta, FlowDelta::State(_)))
}

fn gone(change: &Change) -> Option<GoneContext> {
    let action = match change.class() {
        Class::Drop => "drop",
        Class::Replace => "reset",
        Class::Record | Class::Safe | Class::Tune | Class::Retire => return None,
    };
    Some(GoneContext { id: change.id().to_string(), slug: change.database_slug(), action })
}

fn made(change: &Change) -> Option<MadeContext<'_>> {
    let is_created = matches!(change, Change::Create(_)) || change.class() == Class::Replace;
    let queue_only = matches!(change, Change::Alter(alteration) if alteration.deltas.contains(&FlowDelta::Queue));
    let flow = change.result().filter(|_| is_created || queue_only)?;
    Some(MadeContext {
        id: flow.id.to_string(),
        slug: flow.id.database_slug(),
        options: flow_arguments(flow),
        // `create_flow` creates a missing queue even if the flow exists.
        steps: flow.steps.iter().filter(|_| is_created).map(step_context).collect(),
    })
}

fn slug(change: &Change) -> &str {
    &change.id().slug
}

/// Whether the change may affect the triggers in force, which are those of the current version.
fn touches_triggers(change: &Change) -> bool {
    match change {
        Change::Create(flow) | Change::Drop(flow) => !flow.triggers.is_empty(),
        Change::Alter(alteration) => {
            let have_triggers = !alteration.from.triggers.is_empty() || !alteration.to.triggers.is_empty();
            have_triggers || alteration.deltas.contains(&FlowDelta::Triggers)
        }
    }
}

fn tuned(change: &Change) -> Option<TunedContext<'_>> {
    let Change::Alter(alteration) = change else { return None };
    let updates = match alteration.class() {
        // `add_step` sets the options of the recreated steps. The flow itself exists, and `create_flow` does not update it.
        Class::Replace => {
            vec![UpdateContext { table: "pgflow.flows", step: None, set: flow_columns(alteration.to.options) }]
        }
        _ => updates(alteration),
    };
    (!updates.is_empty()).then(|| TunedContext {
        id: alteration.to.id.to_string(),
        slug: alteration.to.id.database_slug(),
        updates,
    })
}

fn flow_arguments(flow: &Flow) -> Vec<OptionContext> {
    let (set, default) = (flow.options, FlowOptions::DEFAULT);
    [
        ("max_attempts", set.max_attempts, default.max_attempts),
        ("base_delay", set.base_delay, default.base_delay),
        ("timeout", set.timeout, default.timeout),
    ]
    .into_iter()
    .filter(|(_, value, default)| value != default)
    .map(|(name, value, _)| OptionContext { name, value: value.to_string() })
    .collect()
}

fn flow_columns(options: FlowOptions) -> Vec<OptionContext> {
    [
        ("opt_max_attempts", options.max_attempts),
        ("opt_base_delay", options.base_delay),
        ("opt_timeout", options.timeout),
    ]
    .into_iter()
    .map(|(name, value)| OptionContext { name, value: value.to_string() })
    .collect()
}

fn step_context(step: &Step) -> StepContext<'_> {
    let mut options = Vec::new();
    let mut argument = |name, value: Option<String>| options.extend(value.map(|value| OptionContext { name, value }));
    let number = |value: Option<i32>| value.map(|value| value.to_string());
    let json = |value: &Option<serde_json::Value>| value.as_ref().map(|value| quote::literal(&value.to_string()));
    let mode = |value: FailureMode, default| (value != default).then(|| quote::literal(value.as_str()));
    argument("max_attempts", number(step.max_attempts));
    argument("base_delay", number(step.base_delay));
    argument("timeout", number(step.timeout));
    argument("start_delay", number(step.start_delay));
    argument("step_type", (step.kind == StepKind::Map).then(|| quote::literal(step.kind.as_str())));
    argument("required_input_pattern", json(&step.required_input_pattern));
    argument("forbidden_input_pattern", json(&step.forbidden_input_pattern));
    argument("when_unmet", mode(step.when_unmet, FailureMode::Skip));
    argument("when_exhausted", mode(step.when_exhausted, FailureMode::Fail));
    StepContext { slug: &step.slug, depends_on: &step.depends_on, options }
}

/// The updates of options: one for the flow and one for each step, as far as they change.
fn updates(alteration: &Alteration) -> Vec<UpdateContext<'_>> {
    let mut updates: Vec<UpdateContext<'_>> = Vec::new();
    for delta in &alteration.deltas {
        let (table, step, name, value) = match delta {
            FlowDelta::MaxAttempts(delta) => ("pgflow.flows", None, "opt_max_attempts", Some(delta.to)),
            FlowDelta::BaseDelay(delta) => ("pgflow.flows", None, "opt_base_delay", Some(delta.to)),
            FlowDelta::Timeout(delta) => ("pgflow.flows", None, "opt_timeout", Some(delta.to)),
            FlowDelta::Step(slug, StepDelta::MaxAttempts(delta)) => step_column(slug, "opt_max_attempts", delta.to),
            FlowDelta::Step(slug, StepDelta::BaseDelay(delta)) => step_column(slug, "opt_base_delay", delta.to),
            FlowDelta::Step(slug, StepDelta::Timeout(delta)) => step_column(slug, "opt_timeout", delta.to),
            FlowDelta::Step(slug, StepDelta::StartDelay(delta)) => step_column(slug, "opt_start_delay", delta.to),
            _ => continue,
        };
        let column = OptionContext { name, value: value.map_or("null::int".to_owned(), |value| value.to_string()) };
        match updates.last_mut() {
            Some(update) if (update.table, update.step) == (table, step) => update.set.push(column),
            _ => updates.push(UpdateContext { table, step, set: vec![column] }),
        }
    }
    updates
}

fn step_column<'a>(
    slug: &'a str,
    name: &'static str,
    value: Option<i32>,
) -> (&'static str, Option<&'a str>, &'static str, Option<i32>) {
    ("pgflow.steps", Some(slug), name, value)
}
