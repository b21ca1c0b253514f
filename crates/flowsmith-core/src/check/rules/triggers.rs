//! Triggers: schedules that fire, names that can exist, inputs that the flow takes.

use std::borrow::Cow;
use std::cell::OnceCell;

use jsonschema::Validator;
use serde_json::Value;

use super::schemas;
use crate::catalog::{FlowId, QueueKind, identifiers};
use crate::check::expression;
use crate::cron;
use crate::definition::{self, FlowFile, Item, StepDefinition, Trigger, TriggerSource};
use crate::finding::FieldPath;
use crate::finding::{Code, Finding, Findings};
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
            findings.push(Finding::new(Code::InvalidCron, path, error.message).label("not a schedule").help(error.help))
        }
        Ok(parsed) if !parsed.fires() => {
            let message = format!("the schedule `{schedule}` never fires: no month that it names has such a day");
            let help = "name a day that the month has; for the last day of every month, write `$`, as in `0 0 $ * *`";
            findings.push(Finding::new(Code::NeverFires, path, message).label("never comes").help(help));
        }
        Ok(_) => {}
    }
}

fn table(table: &str, path: FieldPath, findings: &mut Findings) {
    match identifiers(table).as_deref() {
        Some([_schema, _table]) => {}
        Some([only]) => {
            let message = format!("the table `{only}` is named without its schema, and taken for `public.{only}`");
            findings.push(
                Finding::new(Code::UnqualifiedTable, path, message)
                    .label("schema missing")
                    .help(format!("write `public.{table}`, or the schema that it is in")),
            );
        }
        _ => {
            let message = format!("`{table}` is not the name of a table");
            let help = "write `schema.table`; put a part that has capitals or special characters in double quotes";
            findings.push(Finding::new(Code::InvalidTable, path, message).label("not a name").help(help));
        }
    }
}

fn events(on: &[Item], path: &FieldPath, findings: &mut Findings) {
    if on.is_empty() {
        let finding = Finding::new(Code::NoEvents, path.clone(), "no change of the table starts a run");
        findings.push(finding.label("empty").help("list some of `insert`, `update`, `delete`, or remove the trigger"));
    }
    for (position, event) in on.iter().enumerate() {
        if let Some(first) = on[..position].iter().find(|first| first.text == event.text) {
            let finding = Finding::new(
                Code::DuplicateEvent,
                path.clone().index(event.index),
                format!("`{}` is listed twice", event.text),
            )
            .label("again here")
            .related(path.clone().index(first.index), "first here");
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
            format!("`{name}` is the queue of the flow itself, whose messages are its tasks")
        }
        Ok(_) => return,
    };
    findings.push(
        Finding::new(Code::InvalidQueue, path, problem)
            .label("not a queue")
            .help("write `pgq:` or `pgmq:` and the name of a queue, such as `pgq:order_imports`"),
    );
}

/// The queues of pgmq that its triggers name, but for its own, with the triggers' places: that none holds the tasks of another
/// flow is seen where all of them are.
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

/// Whether a pgmq queue is the one that holds the flow's tasks; pgmq lower-cases names.
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
        // That a text is empty is a finding of its shape.
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        if let Err(error) = expression::check(text) {
            let finding =
                Finding::new(Code::InvalidExpression, path(key), format!("`{key}` is not one SQL expression: {error}"));
            findings.push(
                finding.label("not an expression").help("write what could stand in the parentheses of `select (…)`"),
            );
        }
    }
}

/// Keys that say something about another kind of trigger.
fn misplaced(trigger: &Trigger, path: &dyn Fn(&str) -> FieldPath, findings: &mut Findings) {
    let Some(source) = &trigger.source else { return };
    let (kind, allowed): (_, &[&str]) = match source {
        TriggerSource::Cron(_) => ("cron", &["input"]),
        TriggerSource::Table { .. } => ("table", &["on", "when", "input", "input_sql", "strict"]),
        TriggerSource::Queue(_) => ("queue", &["input_sql"]),
    };
    for key in trigger.written.iter().filter(|key| !allowed.contains(&key.as_str())) {
        let finding =
            Finding::new(Code::MisplacedKey, path(key).itself(), format!("`{key}` means nothing on a {kind} trigger"))
                .label("has no effect here");
        findings.push(
            finding.help(format!(
                "remove it; a {kind} trigger takes {}",
                words::quoted_list(allowed.iter().copied(), "and")
            )),
        );
    }
    if trigger.input.is_some() && trigger.input_sql.is_some() && matches!(source, TriggerSource::Table { .. }) {
        let finding = Finding::new(
            Code::MisplacedKey,
            path("input").itself(),
            "the run's input is said twice, by `input` and by `input_sql`",
        )
        .label("the same for every row")
        .related(path("input_sql").itself(), "made from the row");
        findings.push(finding.help("keep one of them"));
    }
}

/// What a flow wants its runs' input to be; its schema is compiled for the first trigger that has an input.
struct Expected<'f> {
    map: Option<&'f StepDefinition>,
    schema: Option<&'f Value>,
    compiled: OnceCell<Option<Validator>>,
}

impl<'f> Expected<'f> {
    fn of(flow: &'f FlowFile) -> Self {
        let map = flow.steps.iter().find(|step| step.is_root_map());
        Self { map, schema: flow.input.as_ref(), compiled: OnceCell::new() }
    }

    fn validator(&self) -> Option<&Validator> {
        self.compiled.get_or_init(|| schemas::compile(self.schema?).ok()).as_ref()
    }
}

fn input(expected: &Expected<'_>, trigger: &Trigger, path: &dyn Fn(&str) -> FieldPath, findings: &mut Findings) {
    let name = trigger.name.as_deref().unwrap_or("this trigger");
    let (input, at, label) = match (&trigger.input, &trigger.source) {
        (Some(input), _) => (Cow::Borrowed(input), path("input"), "does not fit"),
        (None, Some(TriggerSource::Cron(_))) => {
            (Cow::Owned(Value::Object(serde_json::Map::new())), path("cron"), "starts runs with the input {}")
        }
        // A row or an event is not known here.
        (None, _) => return,
    };
    if let Some(map) = expected.map.filter(|_| !input.is_array()) {
        let message =
            format!("`{name}` starts runs with an input that is not an array, but the step `{}` maps it", map.slug);
        let finding = Finding::new(Code::TriggerInput, at, message)
            .label("not an array")
            .related(super::step_path(map).key("map"), "needs an array");
        findings.push(finding.help("write a list under `input`"));
        return;
    }
    for error in expected.validator().into_iter().flat_map(|validator| validator.iter_errors(&input)) {
        let place = match &trigger.input {
            Some(_) => schemas::below(at.clone(), error.instance_path().as_str()),
            None => at.clone(),
        };
        let message = format!("the input of `{name}` does not fit the flow's `input`: {error}");
        let finding = Finding::new(Code::TriggerInput, place, message)
            .label(label)
            .related(FieldPath::root().key("input").itself(), "declared here");
        findings.push(finding.help("change the trigger's `input`, or the schema"));
        if findings.is_full() {
            return;
        }
    }
}
