//! Rules for triggers.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;

use super::schemas;
use crate::catalog::{FlowId, QueueKind, identifiers};
use crate::check::expression;
use crate::cron;
use crate::definition::{self, FlowFile, Item, StepDefinition, Trigger, TriggerSource};
use crate::finding::FieldPath;
use crate::finding::{Code, Finding, Findings};
use crate::json_schema::Schema;
use crate::words;

pub(super) fn check(flow: &FlowFile, findings: &mut Findings) {
    let expected = Expected::of(flow);
    for trigger in &flow.triggers {
        let path = |key: &str| FieldPath::root().key("triggers").index(trigger.index).key(key);
        match &trigger.source {
            Some(TriggerSource::Cron(schedule)) => cron(schedule, path("cron"), findings),
            Some(TriggerSource::Table { table, on, .. }) => {
                self::table(table, path("table"), findings);
                events(on, &path("on"), findings);
            }
            Some(TriggerSource::Queue(queue)) => self::queue(flow, queue, path("queue"), findings),
            None => continue,
        }
        expressions(trigger, &path, findings);
        misplaced(trigger, &path, findings);
        input(&expected, trigger, &path, findings);
    }
}

fn cron(schedule: &str, path: FieldPath, findings: &mut Findings) {
    match cron::parse(schedule) {
        Err(error) => {
            let finding = Finding::new(Code::InvalidCron, path, error.message);
            findings.push(finding.label("invalid schedule").help(error.help));
        }
        Ok(parsed) if !parsed.fires() => {
            let message = format!("the schedule `{schedule}` never fires: none of its months has such a day");
            let help = "name a day that exists in the month; for the last day of every month, write `0 0 $ * *`";
            findings.push(Finding::new(Code::NeverFires, path, message).label("no such date").help(help));
        }
        Ok(_) => {}
    }
}

fn table(table: &str, path: FieldPath, findings: &mut Findings) {
    match identifiers(table).as_deref() {
        Some([_schema, _table]) => {}
        Some([only]) => {
            let message = format!("the table name `{only}` has no schema and is read as `public.{only}`");
            findings.push(
                Finding::new(Code::UnqualifiedTable, path, message)
                    .label("schema missing")
                    .help(format!("write `public.{table}`, or add the schema of the table")),
            );
        }
        _ => {
            let message = format!("invalid table name `{table}`");
            let help =
                "write `schema.table`, with double quotes around names with capital letters or special characters";
            findings.push(Finding::new(Code::InvalidTable, path, message).label("invalid name").help(help));
        }
    }
}

fn events(on: &[Item], path: &FieldPath, findings: &mut Findings) {
    if on.is_empty() {
        let finding = Finding::new(Code::NoEvents, path.clone(), "the trigger has no events");
        let help = "list at least one of `insert`, `update` and `delete`, or remove the trigger";
        findings.push(finding.label("empty list").help(help));
    }
    for (position, event) in on.iter().enumerate() {
        if let Some(first) = on[..position].iter().find(|first| first.text == event.text) {
            let finding = Finding::new(
                Code::DuplicateEvent,
                path.clone().index(event.index),
                format!("the trigger lists the event `{}` twice", event.text),
            )
            .label("duplicate")
            .related(path.clone().index(first.index), "first listed here");
            findings.push(finding.help("remove one of them"));
        }
        if findings.is_full() {
            return;
        }
    }
}

fn queue(flow: &FlowFile, queue: &str, path: FieldPath, findings: &mut Findings) {
    let problem = match definition::queue(queue) {
        Err(problem) => problem,
        Ok((QueueKind::Pgmq, name)) if is_own(flow, name) => {
            format!("the queue `{name}` belongs to this flow and contains its tasks")
        }
        Ok(_) => return,
    };
    findings.push(
        Finding::new(Code::InvalidQueue, path, problem)
            .label("invalid queue")
            .help("write `pgq:` or `pgmq:` and the name of a queue, such as `pgq:order_imports`"),
    );
}

/// The pgmq queues that the triggers of a flow name, other than the flow's own, each with the index of the trigger.
/// `project::check` compares them with the queues of all flows.
pub(in crate::check) fn pgmq_queues(flow: &FlowFile) -> Vec<(usize, String)> {
    let named = flow.triggers.iter().filter_map(|trigger| match &trigger.source {
        Some(TriggerSource::Queue(text)) => match definition::queue(text) {
            Ok((QueueKind::Pgmq, name)) if !is_own(flow, name) => Some((trigger.index, name.to_owned())),
            _ => None,
        },
        _ => None,
    });
    named.collect()
}

/// Whether a pgmq queue contains the tasks of the flow. pgmq converts names to lower case.
fn is_own(flow: &FlowFile, queue: &str) -> bool {
    let id = flow.flow.clone().zip(flow.version).map(|(slug, version)| FlowId::new(slug, version));
    id.is_some_and(|id| id.database_slug().eq_ignore_ascii_case(queue))
}

fn expressions(trigger: &Trigger, path: &dyn Fn(&str) -> FieldPath, findings: &mut Findings) {
    let when = match &trigger.source {
        Some(TriggerSource::Table { when, .. }) => when.as_deref(),
        _ => None,
    };
    for (key, text) in [("when", when), ("input_sql", trigger.input_sql.as_deref())] {
        // An empty string is reported by the check of the shape.
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        if let Err(error) = expression::check(text) {
            let message = format!("`{key}` is not a single SQL expression: {error}");
            let finding = Finding::new(Code::InvalidExpression, path(key), message);
            let help = "write an expression that is valid within the parentheses of `select (…)`";
            findings.push(finding.label("invalid expression").help(help));
        }
    }
}

/// Reports keys that belong to another kind of trigger.
fn misplaced(trigger: &Trigger, path: &dyn Fn(&str) -> FieldPath, findings: &mut Findings) {
    let Some(source) = &trigger.source else { return };
    let (kind, allowed): (_, &[&str]) = match source {
        TriggerSource::Cron(_) => ("cron", &["input"]),
        TriggerSource::Table { .. } => ("table", &["on", "when", "input", "input_sql", "strict"]),
        TriggerSource::Queue(_) => ("queue", &["input_sql"]),
    };
    for key in trigger.written.iter().filter(|key| !allowed.contains(&key.as_str())) {
        let finding =
            Finding::new(Code::MisplacedKey, path(key).itself(), format!("`{key}` has no effect on a {kind} trigger"))
                .label("misplaced key");
        findings.push(finding.help(format!(
            "remove it; a {kind} trigger accepts {}",
            words::quoted_list(allowed.iter().copied(), "and")
        )));
    }
    if trigger.input.is_some() && trigger.input_sql.is_some() && matches!(source, TriggerSource::Table { .. }) {
        let finding =
            Finding::new(Code::MisplacedKey, path("input").itself(), "the trigger has both `input` and `input_sql`")
                .label("the same for every row")
                .related(path("input_sql").itself(), "computed from the row");
        findings.push(finding.help("remove one of them"));
    }
}

/// The input that a flow requires. The schema is compiled lazily, for the first trigger that has an input.
struct Expected<'f> {
    map: Option<&'f StepDefinition>,
    schema: Option<&'f Value>,
    compiled: OnceCell<Option<Schema>>,
}

impl<'f> Expected<'f> {
    fn of(flow: &'f FlowFile) -> Self {
        let map = flow.steps.iter().find(|step| step.is_root_map());
        Self { map, schema: flow.input.as_ref(), compiled: OnceCell::new() }
    }

    fn compiled(&self) -> Option<&Schema> {
        self.compiled.get_or_init(|| Schema::compile(self.schema?).ok()).as_ref()
    }
}

fn input(expected: &Expected<'_>, trigger: &Trigger, path: &dyn Fn(&str) -> FieldPath, findings: &mut Findings) {
    let name = trigger.name.as_ref().map_or("this trigger".to_owned(), |name| format!("the trigger `{name}`"));
    let (input, at, label) = match (&trigger.input, &trigger.source) {
        (Some(input), _) => (Cow::Borrowed(input), path("input"), "does not match"),
        (None, Some(TriggerSource::Cron(_))) => {
            (Cow::Owned(Value::Object(serde_json::Map::new())), path("cron"), "starts runs with the input `{}`")
        }
        // The input is computed from a row or an event, which is not known here.
        (None, _) => return,
    };
    if let Some(map) = expected.map.filter(|_| !input.is_array()) {
        let message = format!("the input of {name} is not an array, but the step `{}` maps it", map.slug);
        let finding = Finding::new(Code::TriggerInput, at, message)
            .label("not an array")
            .related(super::step_path(map).key("map"), "requires an array");
        findings.push(finding.help("write a list under `input`"));
        return;
    }
    let Some(schema) = expected.compiled() else { return };
    let Ok(visits) = schema.visits(&input) else {
        let message = format!("the input of {name} takes too long to check against the flow's `input` schema");
        let finding = Finding::new(Code::ExpensiveSchema, at, message)
            .label("exceeds the limit")
            .related(FieldPath::root().key("input").itself(), "declared here");
        findings.push(finding.help("simplify the schema: each reference counts as a copy of its target"));
        return;
    };
    if !schemas::spend(visits / 1000, &|| at.clone(), findings) {
        return;
    }
    for error in schema.violations(&input) {
        let place = match &trigger.input {
            Some(_) => schemas::below(at.clone(), error.instance_path().as_str()),
            None => at.clone(),
        };
        let message = format!("the input of {name} does not match the flow's `input` schema: {error}");
        let finding = Finding::new(Code::TriggerInput, place, message)
            .label(label)
            .related(FieldPath::root().key("input").itself(), "declared here");
        findings.push(finding.help("change the `input` of the trigger or the schema of the flow"));
        if findings.is_full() {
            return;
        }
    }
}
