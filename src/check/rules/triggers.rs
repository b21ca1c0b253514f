//! Triggers: schedules that fire, names that can exist, inputs that the flow takes.

use std::borrow::Cow;
use std::cell::OnceCell;

use jsonschema::Validator;
use serde_json::Value;

use super::schemas;
use crate::check::cron;
use crate::definition::{FlowFile, Item, StepDefinition, Trigger, TriggerSource, words};
use crate::finding::FieldPath;
use crate::finding::{Code, Finding, Findings};

/// The longest identifier of PostgreSQL.
const MAX_IDENTIFIER: usize = 63;

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
            Some(TriggerSource::Queue(queue)) => self::queue(queue, path("queue"), findings),
            None => continue,
        }
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
            let message = format!(
                "the table `{only}` is named without its schema, so which one it is depends on the search path"
            );
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

/// The parts of a dotted name as PostgreSQL reads it; none where it would not.
fn identifiers(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name;
    loop {
        let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"')?;
            (quoted[..end].to_owned(), &quoted[end + 1..])
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let part = &rest[..end];
            let starts_well = part.starts_with(|first: char| first.is_alphabetic() || first == '_');
            if !starts_well || !part.chars().all(|each| each.is_alphanumeric() || each == '_' || each == '$') {
                return None;
            }
            (part.to_lowercase(), &rest[end..])
        };
        if part.is_empty() || part.len() > MAX_IDENTIFIER {
            return None;
        }
        parts.push(part);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(parts),
        }
    }
}

fn events(on: &[Item], path: &FieldPath, findings: &mut Findings) {
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

fn queue(queue: &str, path: FieldPath, findings: &mut Findings) {
    let problem = match queue.split_once(':') {
        Some(("pgq", name)) if !name.is_empty() && !name.contains(char::is_whitespace) => return,
        Some(("pgq", _)) => "the queue's name is missing or has spaces in it".to_owned(),
        Some((kind, _)) => format!("`{kind}` is not a kind of queue that can start runs"),
        None => format!("`{queue}` does not say what kind of queue it is"),
    };
    findings.push(
        Finding::new(Code::InvalidQueue, path, problem)
            .label("not a queue")
            .help("write `pgq:` and the name of a PgQ queue, such as `pgq:order_imports`"),
    );
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
            format!("`{name}` starts runs with an input that is no array, but the step `{}` maps it", map.slug);
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

#[cfg(test)]
mod tests {
    use super::identifiers;

    #[test]
    fn names_of_tables_are_read_as_postgresql_reads_them() {
        let parts = |name| identifiers(name).map(|parts| parts.join("|"));
        assert_eq!(parts("public.Orders").as_deref(), Some("public|orders"));
        assert_eq!(parts("\"My Shop\".\"Orders\"").as_deref(), Some("My Shop|Orders"));
        for wrong in ["", ".", "a.", "a b", "a..b", "1a", "\"a", "a\"b", "a; drop table b", "\"\".a"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
