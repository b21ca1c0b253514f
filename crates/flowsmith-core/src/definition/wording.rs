//! Phrases of findings about values: the actual value, the expected one, and the fix.

use super::shape::Kind;
use crate::source::{Node, Value};

/// The actual value, for `… must be …, not …`.
pub(super) fn describe(node: &Node) -> String {
    match &node.value {
        Value::Null | Value::Refused => "null".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Int(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::String(_) => "a string".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

/// The expected value, for `… must be …`.
pub(super) fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Url | Kind::Word(_) => "a string",
        Kind::Slug(_) => "a name",
        Kind::Bool => "`true` or `false`",
        Kind::Integer(..) => "an integer",
        Kind::Duration(_) => "a duration",
        Kind::Json => "a value",
        Kind::Pattern => "an object",
        Kind::Schema => "a JSON Schema",
        Kind::List(_) => "a list",
        Kind::TextOrList => "a string or a list of strings",
        Kind::UrlOrObject(_) => "a string or a mapping",
        Kind::Map(_) | Kind::MapOrEmpty(_) | Kind::Object(_) | Kind::Overrides(_) => "a mapping",
    }
}

/// The suggested fix for a value of the wrong type.
pub(super) fn instead(node: &Node, kind: &Kind) -> Option<String> {
    let help = match (kind, &node.value) {
        (Kind::Text | Kind::Slug(_) | Kind::TextOrList, Value::Bool(value)) => {
            format!("put the value in quotes: \"{value}\"")
        }
        (Kind::Text | Kind::Slug(_) | Kind::TextOrList, Value::Int(number)) => {
            format!("put the value in quotes: \"{number}\"")
        }
        (Kind::Text | Kind::Slug(_) | Kind::TextOrList, Value::Float(number)) => {
            format!("put the value in quotes: \"{number}\"")
        }
        (Kind::Slug(_), Value::List(items)) if items.len() == 1 => "write the name without brackets".to_owned(),
        (Kind::List(_), Value::String(text)) => format!("put the value in brackets: [{text}]"),
        (Kind::Bool, Value::String(text)) => match text.as_str() {
            "yes" | "Yes" | "on" | "On" | "y" => "write `true`".to_owned(),
            "no" | "No" | "off" | "Off" | "n" => "write `false`".to_owned(),
            _ => "write `true` or `false`, without quotes".to_owned(),
        },
        (Kind::Integer(..), Value::String(text)) if text.parse::<i64>().is_ok() => {
            format!("write {text} without quotes")
        }
        (Kind::Integer(..), _) => "write an integer, such as 3".to_owned(),
        (Kind::Duration(_), _) => "write whole seconds, or a whole number with a unit: 90s, 5m, 2h or 3d".to_owned(),
        (Kind::Schema, _) => "write a schema such as `{ type: object }`".to_owned(),
        (Kind::MapOrEmpty(_), Value::List(_)) => {
            "write each step name as a key, as in `load: {}`, not `- load`".to_owned()
        }
        (_, Value::Null) => "write a value, or remove the key".to_owned(),
        (Kind::Object(object), Value::String(text)) if object.exactly_one.contains(&"sql") => handler(text),
        (Kind::Map(_) | Kind::MapOrEmpty(_) | Kind::Object(_) | Kind::Overrides(_), _) => {
            "write keys with values, as in `key: value`".to_owned()
        }
        _ => return None,
    };
    Some(help)
}

/// The suggested fix for a handler that is written as a plain string.
fn handler(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    let kind = match first.as_str() {
        "select" | "with" | "values" | "insert" | "update" | "delete" | "merge" | "call" => "sql",
        _ if first.starts_with("http://") || first.starts_with("https://") => "http",
        _ => return "write `{ sql: … }`, `{ exec: … }` or `{ http: … }`".to_owned(),
    };
    let is_short = text.len() <= 60 && !text.contains(['\n', '"', '\\']);
    format!("write `{{ {kind}: {} }}`", if is_short { format!("\"{text}\"") } else { "…".to_owned() })
}

/// A suggestion for a key that other tools use with the same meaning, where the spelling is not similar.
pub(super) fn by_meaning(written: &str, is_key: impl Fn(&str) -> bool) -> Option<String> {
    let word: String = written.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let (keys, note): (&[&str], _) = match word.as_str() {
        "retries" | "retry" | "maxretries" | "retrylimit" | "retrycount" => {
            (&["max_attempts"], " It includes the first attempt, so write `max_attempts: 4` for 3 retries")
        }
        "attempts" | "maxtries" | "tries" | "maximumattempts" => (&["max_attempts"], ""),
        "backoff" | "retrydelay" | "retrybackoff" | "retryinterval" | "initialinterval" => (&["base_delay"], ""),
        "delay" | "wait" | "initialdelay" | "delayseconds" => (&["start_delay"], ""),
        "timeoutseconds" | "timeoutminutes" | "deadline" | "starttoclosetimeout" => (&["timeout"], ""),
        "needs" | "after" | "dependencies" | "deps" | "requires" | "upstream" | "dependson" => (&["depends_on"], ""),
        "foreach" | "each" | "withitems" | "matrix" | "over" => (&["map"], ""),
        "condition" | "when" | "runif" | "onlyif" => (&["if"], ""),
        "unless" | "skipif" => (&["if_not"], ""),
        "onfailure" | "onerror" | "continueonerror" | "allowfailure" => (&["when_exhausted"], ""),
        "tasks" | "jobs" | "stages" | "nodes" | "activities" => (&["steps"], ""),
        "name" | "id" | "slug" | "workflow" | "dag" => (&["flow"], ""),
        "schedule" | "every" | "crontab" => (&["cron", "triggers"], ""),
        "on" | "events" => (&["triggers"], ""),
        "query" | "statement" => (&["sql"], ""),
        "command" | "cmd" | "shell" | "script" | "run" | "uses" => (&["exec", "handler"], ""),
        "webhook" | "url" | "request" => (&["http"], ""),
        "sql" | "exec" | "http" => (&["handler"], ""),
        _ => return None,
    };
    let key = keys.iter().find(|key| is_key(key))?;
    Some(format!("did you mean `{key}`?{note}"))
}
