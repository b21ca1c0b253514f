//! Comparison of a node with the table of the format: unknown keys, missing keys, and values of the wrong type.

use super::duration;
use super::reference;
use super::shape::{Kind, Object};
use super::wording;
use crate::finding::Trail;
use crate::finding::{Code, Finding, Findings};
use crate::source::{Node, Value};
use crate::words::{self, quoted_list};

/// Checks a value and everything below it.
pub(super) fn verify(node: &Node, kind: &Kind, path: &Trail<'_>, findings: &mut Findings) {
    if findings.is_full() {
        return;
    }
    match (kind, &node.value) {
        (_, Value::Refused)
        | (Kind::Json, _)
        | (Kind::Bool, Value::Bool(_))
        | (Kind::Schema, Value::Map(_) | Value::Bool(_)) => {}
        (Kind::Pattern, Value::Map(_)) => {}
        (Kind::Pattern, _) => findings.push(pattern(node, path)),
        (Kind::Text | Kind::TextOrList | Kind::Url | Kind::UrlOrObject(_), Value::String(text)) => {
            if text.trim().is_empty() {
                findings.push(empty(path, "empty string"));
            } else if matches!(kind, Kind::Url | Kind::UrlOrObject(_)) && !is_url(text) {
                let finding = Finding::new(Code::InvalidUrl, path.path(), format!("`{text}` is not a valid HTTP URL"));
                findings.push(
                    finding.label("invalid URL").help("write a complete URL, such as `https://example.com/hook`"),
                );
            }
        }
        // The rules on names check these: they know whether it is the name of a flow, a step or a trigger.
        (Kind::Slug(_), Value::String(_)) => {}
        (Kind::Integer(least, most, code), Value::Int(number)) => {
            if !(least..=most).contains(&number) {
                let message = format!("`{path}` must be between {least} and {most}, not {number}");
                let help =
                    if number < least { format!("write {least} or more") } else { format!("write {most} or less") };
                findings.push(Finding::new(*code, path.path(), message).label("out of range").help(help));
            }
        }
        (Kind::Duration(least), Value::Int(number)) => in_seconds(*number, *least, path, findings),
        (Kind::Duration(least), Value::String(text)) => match duration::parse(text) {
            Ok(number) => in_seconds(number, *least, path, findings),
            Err(error) => findings.push(
                Finding::new(Code::Duration, path.path(), error.to_string())
                    .label("invalid duration")
                    .help(error.help()),
            ),
        },
        (Kind::Word(choices), Value::String(word)) => {
            if !choices.contains(&word.as_str()) {
                let message = format!("unknown value `{word}` for `{path}`");
                let finding = Finding::new(Code::UnknownWord, path.path(), message).label("unknown value");
                findings.push(finding.help(words::suggest(word, choices.iter().copied())));
            }
        }
        (Kind::List(item), Value::List(items)) => {
            for (index, node) in items.iter().enumerate() {
                verify(node, item, &path.index(index), findings);
            }
        }
        (Kind::TextOrList, Value::List(items)) if items.is_empty() => {
            findings.push(empty(path, "empty list"));
        }
        (Kind::TextOrList, Value::List(items)) => {
            for (index, node) in items.iter().enumerate() {
                verify(node, &Kind::Text, &path.index(index), findings);
            }
        }
        (Kind::Map(value), Value::Map(entries)) => {
            for (key, node) in entries {
                verify(node, value, &path.key(&key.name), findings);
            }
        }
        (Kind::MapOrEmpty(_), Value::Map(entries)) if entries.is_empty() => {
            let finding = Finding::new(Code::NoSteps, path.path(), "the flow has no steps").label("empty");
            findings.push(finding.help("add at least one step, such as `load: {}`"));
        }
        (Kind::MapOrEmpty(value), Value::Map(entries)) => {
            for (key, node) in entries.iter().filter(|(_, node)| node.value != Value::Null) {
                verify(node, value, &path.key(&key.name), findings);
            }
        }
        (Kind::Object(object) | Kind::UrlOrObject(object), Value::Map(_)) => {
            verify_object(node, object, path, findings)
        }
        (Kind::Overrides(object), Value::Map(_)) => unknown_keys(node, object, path, findings),
        _ => findings.push(wrong_type(node, kind, path)),
    }
}

/// Checks a mapping with the keys of an object.
pub(super) fn verify_object(node: &Node, object: &'static Object, path: &Trail<'_>, findings: &mut Findings) {
    unknown_keys(node, object, path, findings);
    for (key, value) in node.entries() {
        if let Some(field) = object.field(&key.name) {
            verify(value, &field.kind, &path.key(field.name), findings);
        }
    }
    for field in object.fields.iter().filter(|field| field.required && node.get(field.name).is_none()) {
        let message = format!("missing key `{}` in this {}", field.name, noun(object));
        let finding =
            Finding::new(Code::MissingKey, path.path(), message).label(format!("`{}` is missing", field.name));
        findings.push(finding.help(format!("add `{}`, {}", field.name, first_phrase(field.doc))));
    }
    exactly_one(node, object, path, findings);
}

fn unknown_keys(node: &Node, object: &'static Object, path: &Trail<'_>, findings: &mut Findings) {
    for (key, _) in node.entries() {
        if object.field(&key.name).is_some() || findings.is_full() {
            continue;
        }
        let message = format!("unknown key `{}` in this {}", key.name, noun(object));
        let finding = Finding::new(Code::UnknownKey, path.path().key(&key.name).itself(), message).label("unknown key");
        let help = wording::by_meaning(&key.name, |name| object.field(name).is_some())
            .unwrap_or_else(|| words::suggest(&key.name, object.fields.iter().map(|field| field.name)));
        findings.push(finding.help(help));
    }
}

fn exactly_one(node: &Node, object: &Object, path: &Trail<'_>, findings: &mut Findings) {
    let present: Vec<_> = object.exactly_one.iter().filter(|name| node.get(name).is_some()).collect();
    if object.exactly_one.is_empty() || present.len() == 1 {
        return;
    }
    let choices = quoted_list(object.exactly_one.iter().copied(), "or");
    let (at, message, label, help) = match present.as_slice() {
        [] => {
            let message = format!("the {} has none of the keys {choices}", noun(object));
            (path.path(), message, "missing key".to_owned(), format!("add one of {choices}"))
        }
        [first, second, ..] => {
            let message = format!("the {} has more than one of the keys {choices}", noun(object));
            let label = format!("conflicts with `{first}`");
            (path.path().key(**second).itself(), message, label, format!("keep exactly one of {choices}"))
        }
        [_] => return,
    };
    findings.push(Finding::new(Code::ExactlyOne, at, message).label(label).help(help));
}

/// The name of an object in messages.
fn noun(object: &Object) -> &'static str {
    match object.name {
        "http" => "HTTP request",
        "trigger_overrides" => "trigger",
        name => name,
    }
}

fn empty(path: &Trail<'_>, label: &str) -> Finding {
    Finding::new(Code::EmptyText, path.path(), format!("`{path}` is empty"))
        .label(label)
        .help("write a value, or remove the key")
}

fn in_seconds(number: i64, least: i64, path: &Trail<'_>, findings: &mut Findings) {
    if number < least || number > i64::from(i32::MAX) {
        let most = i32::MAX;
        let message = format!("`{path}` must be between {least} and {most} seconds, not {number}");
        let help = if number < least { format!("write {least} or more") } else { format!("write {most} or less") };
        findings.push(Finding::new(Code::OutOfRange, path.path(), message).label("out of range").help(help));
    }
}

fn pattern(node: &Node, path: &Trail<'_>) -> Finding {
    let message = format!("`{path}` must be an object, not {}", wording::describe(node));
    Finding::new(Code::PatternNotObject, path.path(), message)
        .label("expected an object")
        .help("write the keys and values that the input must contain, such as `{ plan: premium }`, or `{ load: { flagged: true } }` for a step that depends on `load`")
}

fn wrong_type(node: &Node, kind: &Kind, path: &Trail<'_>) -> Finding {
    let message = format!("`{path}` must be {}, not {}", wording::expected(kind), wording::describe(node));
    let finding =
        Finding::new(Code::WrongType, path.path(), message).label(format!("expected {}", wording::expected(kind)));
    match wording::instead(node, kind) {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// Whether the text is an HTTP URL once its references to environment variables are resolved.
fn is_url(text: &str) -> bool {
    if reference::broken(text).next().is_some() {
        // The rule on handlers reports invalid references.
        return true;
    }
    // The values are unknown. A digit is valid in every part of a URL, including the port.
    let resolved = reference::resolve(text, &mut |_| "1".to_owned());
    let text = if text.starts_with("${") { format!("http://{resolved}") } else { resolved };
    url::Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// The first phrase of a description, in lower case, to continue another sentence.
fn first_phrase(doc: &str) -> String {
    let text = doc.split(['.', ':', ',']).next().unwrap_or(doc);
    let mut chars = text.chars();
    let first = chars.next().map(char::to_lowercase).into_iter().flatten();
    first.chain(chars).collect()
}
