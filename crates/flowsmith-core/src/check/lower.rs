//! Conversion of a checked flow file to a flow of the catalog.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::catalog::{
    self, Annotations, FailureMode, Flow, FlowId, FlowOptions, Input, State, Step, StepKind, TableEvent, TableName,
    TableTrigger, canonical_json,
};
use crate::cron;
use crate::definition::{self, FlowFile, Handler, Item, Request, StepDefinition, Trigger, TriggerSource};

/// Converts a flow; `order` contains the indexes of its steps in database order.
pub(super) fn lower(file: FlowFile, id: FlowId, order: &[usize]) -> Flow {
    let mut handlers = BTreeMap::new();
    let mut outputs = BTreeMap::new();
    let mut places: Vec<_> = file.steps.into_iter().map(Some).collect();
    let steps = order
        .iter()
        .filter_map(|place| places[*place].take())
        .map(|mut step| {
            if let Some(handler) = step.handler.take() {
                handlers.insert(step.slug.clone(), self::handler(handler));
            }
            if let Some(output) = step.output.take() {
                outputs.insert(step.slug.clone(), canonical_json(output));
            }
            self::step(step)
        })
        .collect();
    let mut triggers: Vec<_> = file.triggers.into_iter().filter_map(trigger).collect();
    triggers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Flow {
        id,
        state: State::Current,
        options: FlowOptions {
            max_attempts: file.defaults.max_attempts.unwrap_or(FlowOptions::DEFAULT.max_attempts),
            base_delay: file.defaults.base_delay.unwrap_or(FlowOptions::DEFAULT.base_delay),
            timeout: file.defaults.timeout.unwrap_or(FlowOptions::DEFAULT.timeout),
        },
        steps,
        annotations: Annotations {
            description: file.description,
            owner: file.owner,
            labels: file.labels,
            input: file.input.map(canonical_json),
            handlers,
            outputs,
        },
        triggers,
    }
}

fn step(step: StepDefinition) -> Step {
    let source =
        step.source().filter(|source| step.depends_on.iter().all(|item| item.text != *source)).map(str::to_owned);
    let mut depends_on: Vec<_> = step.depends_on.into_iter().map(|item| item.text).chain(source).collect();
    depends_on.sort_unstable();
    Step {
        kind: if step.map.is_some() { StepKind::Map } else { StepKind::Single },
        slug: step.slug,
        depends_on,
        max_attempts: step.options.max_attempts,
        base_delay: step.options.base_delay,
        timeout: step.options.timeout,
        start_delay: step.start_delay,
        required_input_pattern: step.condition.map(canonical_json),
        forbidden_input_pattern: step.exclusion.map(canonical_json),
        when_unmet: step.when_unmet.unwrap_or(FailureMode::Skip),
        when_exhausted: step.when_exhausted.unwrap_or(FailureMode::Fail),
    }
}

/// Converts a trigger. `None` is possible only for a file with errors, which is not compiled.
fn trigger(trigger: Trigger) -> Option<catalog::Trigger> {
    let input_sql = trigger.input_sql.map(|sql| sql.trim().to_owned());
    let value = canonical_json(trigger.input.unwrap_or_else(|| json!({})));
    let source = match trigger.source? {
        TriggerSource::Cron(schedule) => {
            catalog::TriggerSource::Cron { schedule: cron::normalized(&schedule), input: value }
        }
        TriggerSource::Table { table, on, when } => catalog::TriggerSource::Table(TableTrigger {
            table: TableName::parse(&table)?,
            on: events(&on),
            when: when.map(|sql| sql.trim().to_owned()),
            input: input_sql.map_or(Input::Value(value), Input::Sql),
            strict: trigger.strict,
        }),
        TriggerSource::Queue(text) => {
            let (kind, queue) = definition::queue(&text).ok()?;
            catalog::TriggerSource::Queue { kind, queue: queue.to_owned(), input_sql }
        }
    };
    Some(catalog::Trigger { name: trigger.name?, description: trigger.description, source })
}

fn events(on: &[Item]) -> Vec<TableEvent> {
    [TableEvent::Insert, TableEvent::Update, TableEvent::Delete]
        .into_iter()
        .filter(|event| on.iter().any(|item| item.text == event.as_str()))
        .collect()
}

fn handler(handler: Handler) -> Value {
    match handler {
        Handler::Sql(query) => json!({ "sql": query }),
        Handler::Shell(line) => json!({ "exec": line }),
        Handler::Exec(arguments) => json!({ "exec": arguments }),
        Handler::Http(Request { url, method: None, headers }) if headers.is_empty() => json!({ "http": url }),
        Handler::Http(Request { url, method, headers }) => {
            let mut request = json!({ "url": url });
            if let Some(method) = method {
                request["method"] = method.into();
            }
            if !headers.is_empty() {
                request["headers"] = json!(headers);
            }
            json!({ "http": request })
        }
    }
}
