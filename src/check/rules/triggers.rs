//! Triggers: schedules that fire, names that can exist, inputs that the flow takes.

use std::borrow::Cow;

use serde_json::Value;

use super::schemas;
use crate::check::{Code, Finding, Findings, cron};
use crate::definition::{FlowFile, Item, Trigger, TriggerSource, words};
use crate::source::FieldPath;

/// The longest identifier of PostgreSQL.
const MAX_IDENTIFIER: usize = 63;

pub(super) fn check(flow: &FlowFile, findings: &mut Findings) {
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
        input(flow, trigger, &path, findings);
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

fn input(flow: &FlowFile, trigger: &Trigger, path: &dyn Fn(&str) -> FieldPath, findings: &mut Findings) {
    let is_schedule = matches!(trigger.source, Some(TriggerSource::Cron(_)));
    let (input, at) = match &trigger.input {
        Some(input) => (Cow::Borrowed(input), path("input")),
        None if is_schedule => (Cow::Owned(Value::Object(serde_json::Map::new())), path("cron")),
        // A row or an event is not known here.
        None => return,
    };
    let name = trigger.name.as_deref().unwrap_or("this trigger");
    if let Some(map) = flow.steps.iter().find(|step| step.is_root_map())
        && !input.is_array()
    {
        let finding = Finding::new(
            Code::TriggerInput,
            at,
            format!("`{name}` starts runs with an input that is no array, but the step `{}` maps it", map.slug),
        )
        .label("not an array")
        .related(super::step_path(map).key("map"), "needs an array");
        findings.push(finding.help("write a list under `input`"));
        return;
    }
    let Some(validator) = flow.input.as_ref().and_then(|schema| schemas::compile(schema).ok()) else { return };
    for error in validator.iter_errors(&input) {
        let place = schemas::below(at.clone(), error.instance_path().as_str());
        let finding = Finding::new(
            Code::TriggerInput,
            if trigger.input.is_some() { place } else { at.clone() },
            format!("the input of `{name}` does not fit the flow's `input`: {error}"),
        )
        .label(if trigger.input.is_some() { "does not fit" } else { "starts runs with the input {}" })
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
