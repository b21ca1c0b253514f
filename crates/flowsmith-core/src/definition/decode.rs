//! Decoding of a document into a [`FlowFile`]. A value of the wrong shape is reported and left out, so that the rules still
//! check the rest of the flow.

use std::collections::BTreeMap;

use super::model::{FlowFile, Handler, Item, Options, Request, StepDefinition, Trigger, TriggerSource};
use super::shape::{self, Kind};
use super::{duration, environment, verify};
use crate::catalog::FailureMode;
use crate::finding::{Code, Finding, Findings};
use crate::finding::{FieldPath, Trail};
use crate::source::{Node, Value};

/// Decodes one document, as written or merged with the overrides of an environment. Returns `None` if it is not a mapping.
pub fn decode(document: &Node, findings: &mut Findings) -> Option<FlowFile> {
    if !matches!(document.value, Value::Map(_)) {
        let message = format!("a flow must be a mapping, not {}", super::wording::describe(document));
        let help = match document.as_str() {
            Some(text) if text.starts_with("flow:") => "write a space after the colon: `flow: <name>`",
            _ => "write keys and values, beginning with `flow: <name>`",
        };
        findings.push(Finding::new(Code::WrongType, FieldPath::root(), message).label("expected a mapping").help(help));
        return None;
    }
    verify::verify_object(document, &shape::FLOW, &Trail::ROOT, findings);
    let version = match document.get("version") {
        None => Some(1),
        Some(node) => integer(node).and_then(|version| u32::try_from(version).ok()).filter(|version| *version > 0),
    };
    Some(FlowFile {
        flow: text(document, "flow"),
        version,
        description: text(document, "description"),
        owner: text(document, "owner"),
        labels: labels(document),
        input: json(document, "input"),
        defaults: document.get("defaults").map(options).unwrap_or_default(),
        steps: document
            .get("steps")
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|(key, node)| step(&key.name, node))
            .collect(),
        triggers: document
            .get("triggers")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .enumerate()
            .map(trigger)
            .collect(),
        environments: environment::names(document).map(str::to_owned).collect(),
    })
}

fn step(slug: &str, node: &Node) -> StepDefinition {
    StepDefinition {
        slug: slug.to_owned(),
        description: text(node, "description"),
        handler: node.get("handler").and_then(handler),
        depends_on: node.get("depends_on").map(words).unwrap_or_default(),
        map: text(node, "map"),
        condition: pattern(node, "if"),
        exclusion: pattern(node, "if_not"),
        when_unmet: failure_mode(node, "when_unmet"),
        when_exhausted: failure_mode(node, "when_exhausted"),
        options: options(node),
        start_delay: seconds(node, "start_delay", 0),
        output: json(node, "output"),
    }
}

fn trigger((index, node): (usize, &Node)) -> Trigger {
    let sources = [
        text(node, "cron").map(TriggerSource::Cron),
        text(node, "table").map(|table| {
            let on = node.get("on").map_or_else(|| vec![Item { index: 0, text: "insert".to_owned() }], words);
            TriggerSource::Table { table, on, when: text(node, "when") }
        }),
        text(node, "queue").map(TriggerSource::Queue),
    ];
    let mut sources = sources.into_iter().flatten();
    let source = sources.next().filter(|_| sources.next().is_none());
    Trigger {
        index,
        name: text(node, "name"),
        description: text(node, "description"),
        source,
        input: json(node, "input"),
        input_sql: text(node, "input_sql"),
        strict: node.get("strict").is_some_and(|strict| strict.value == Value::Bool(true)),
        written: shape::TRIGGER_SPECIAL_KEYS
            .iter()
            .filter(|key| node.get(key).is_some())
            .map(|key| (*key).to_owned())
            .collect(),
    }
}

fn handler(node: &Node) -> Option<Handler> {
    let exec = || match &node.get("exec")?.value {
        Value::String(line) => Some(Handler::Shell(line.clone())),
        Value::List(items) => Some(Handler::Exec(items.iter().filter_map(Node::as_str).map(str::to_owned).collect())),
        _ => None,
    };
    text(node, "sql").map(Handler::Sql).or_else(exec).or_else(|| node.get("http").and_then(request).map(Handler::Http))
}

fn request(node: &Node) -> Option<Request> {
    match node.as_str() {
        Some(url) => Some(Request { url: url.to_owned(), ..Request::default() }),
        None => Some(Request {
            url: text(node, "url")?,
            method: text(node, "method"),
            headers: node.get("headers").map(texts).unwrap_or_default(),
        }),
    }
}

fn labels(document: &Node) -> BTreeMap<String, String> {
    document.get("labels").map(texts).unwrap_or_default()
}

fn texts(node: &Node) -> BTreeMap<String, String> {
    node.entries().iter().filter_map(|(key, node)| Some((key.name.clone(), node.as_str()?.to_owned()))).collect()
}

fn options(node: &Node) -> Options {
    Options {
        max_attempts: node.get("max_attempts").and_then(integer).filter(|number| *number >= 0),
        base_delay: seconds(node, "base_delay", 0),
        timeout: seconds(node, "timeout", 1),
    }
}

fn text(node: &Node, name: &str) -> Option<String> {
    node.get(name).and_then(Node::as_str).map(str::to_owned)
}

fn words(node: &Node) -> Vec<Item> {
    let item = |(index, node): (usize, &Node)| Some(Item { index, text: node.as_str()?.to_owned() });
    node.items().iter().enumerate().filter_map(item).collect()
}

fn integer(node: &Node) -> Option<i32> {
    if let Value::Int(number) = node.value { i32::try_from(number).ok() } else { None }
}

fn seconds(node: &Node, name: &str, least: i32) -> Option<i32> {
    let node = node.get(name)?;
    let seconds = match &node.value {
        Value::String(text) => duration::parse(text).ok().and_then(|seconds| i32::try_from(seconds).ok()),
        _ => integer(node),
    };
    seconds.filter(|seconds| *seconds >= least)
}

fn json(node: &Node, name: &str) -> Option<serde_json::Value> {
    node.get(name).map(Node::to_json)
}

fn pattern(node: &Node, name: &str) -> Option<serde_json::Value> {
    json(node, name).filter(serde_json::Value::is_object)
}

fn failure_mode(node: &Node, name: &str) -> Option<FailureMode> {
    debug_assert!(matches!(shape::STEP.field(name).map(|field| field.kind), Some(Kind::Word(_))));
    match node.get(name)?.as_str()? {
        "skip" => Some(FailureMode::Skip),
        "skip-cascade" => Some(FailureMode::SkipCascade),
        "fail" => Some(FailureMode::Fail),
        _ => None,
    }
}
