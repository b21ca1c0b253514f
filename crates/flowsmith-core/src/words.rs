//! Words for findings: what a value is, what it should be, what may have been meant.

use crate::definition::shape::Kind;
use crate::source::{Node, Value};

/// `1 change`, `3 changes`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// What is there, for `… but is …`.
pub fn describe(node: &Node) -> String {
    match &node.value {
        Value::Null | Value::Refused => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Int(number) => format!("the number {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::String(_) => "text".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

/// What should be there, for `… must be …`.
pub fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Url | Kind::Word(_) => "text",
        Kind::Slug(_) => "a name",
        Kind::Bool => "`true` or `false`",
        Kind::Integer(..) => "a whole number",
        Kind::Duration(_) => "a duration",
        Kind::Json => "a value",
        Kind::Pattern => "an object",
        Kind::Schema => "a JSON Schema",
        Kind::List(_) => "a list",
        Kind::TextOrList => "text or a list of texts",
        Kind::UrlOrObject(_) => "text or a mapping",
        Kind::Map(_) | Kind::MapOrEmpty(_) | Kind::Object(_) | Kind::Overrides(_) => "a mapping",
    }
}

/// How to write what was probably meant.
pub fn instead(node: &Node, kind: &Kind) -> Option<String> {
    let help = match (kind, &node.value) {
        (Kind::Text | Kind::Slug(_) | Kind::TextOrList, Value::Bool(value)) => format!("put it in quotes: \"{value}\""),
        (Kind::Text | Kind::Slug(_) | Kind::TextOrList, Value::Int(number)) => {
            format!("put it in quotes: \"{number}\"")
        }
        (Kind::Text | Kind::Slug(_) | Kind::TextOrList, Value::Float(number)) => {
            format!("put it in quotes: \"{number}\"")
        }
        (Kind::Slug(_), Value::List(items)) if items.len() == 1 => "write one name, without the brackets".to_owned(),
        (Kind::List(_), Value::String(text)) => format!("put it in brackets: [{text}]"),
        (Kind::Bool, Value::String(text)) => match text.as_str() {
            "yes" | "Yes" | "on" | "On" | "y" => "write `true`".to_owned(),
            "no" | "No" | "off" | "Off" | "n" => "write `false`".to_owned(),
            _ => "write `true` or `false`, without quotes".to_owned(),
        },
        (Kind::Integer(..), Value::String(text)) if text.parse::<i64>().is_ok() => {
            format!("write {text} without quotes")
        }
        (Kind::Integer(..), _) => "write a whole number, such as 3".to_owned(),
        (Kind::Duration(_), _) => "write whole seconds, or a whole number with a unit: 90s, 5m, 2h or 3d".to_owned(),
        (Kind::Schema, _) => "write a schema such as `{ type: object }`".to_owned(),
        (Kind::MapOrEmpty(_), Value::List(_)) => {
            "write each step's name as a key: `load: {}` rather than `- load`".to_owned()
        }
        (_, Value::Null) => "write a value, or leave the key out".to_owned(),
        (Kind::Object(object), Value::String(text)) if object.exactly_one.contains(&"sql") => handler(text),
        (Kind::Map(_) | Kind::MapOrEmpty(_) | Kind::Object(_) | Kind::Overrides(_), _) => {
            "write keys and values below it, such as `key: value`".to_owned()
        }
        _ => return None,
    };
    Some(help)
}

/// How to write a handler of which only the text is there.
fn handler(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    let kind = match first.as_str() {
        "select" | "with" | "values" | "insert" | "update" | "delete" | "merge" | "call" => "sql",
        _ if first.starts_with("http://") || first.starts_with("https://") => "http",
        _ => return "say what it is: `{ sql: … }`, `{ exec: … }` or `{ http: … }`".to_owned(),
    };
    let is_short = text.len() <= 60 && !text.contains(['\n', '"', '\\']);
    format!("say what it is: `{{ {kind}: {} }}`", if is_short { format!("\"{text}\"") } else { "…".to_owned() })
}

/// What other tools call a key of this format: by meaning, where letters would not find it.
pub fn by_meaning(written: &str, is_key: impl Fn(&str) -> bool) -> Option<String> {
    let word: String = written.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let (keys, note): (&[&str], _) = match word.as_str() {
        "retries" | "retry" | "maxretries" | "retrylimit" | "retrycount" => {
            (&["max_attempts"], " It counts the first attempt too, so 3 retries are `max_attempts: 4`")
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

/// `did you mean …?` where a choice is near, and what the choices are where there are few enough to read.
pub fn suggest<'a>(written: &str, choices: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(written, choices.clone()) {
        return format!("did you mean `{near}`?");
    }
    match choices.clone().count() {
        0 => "there is nothing else to name here".to_owned(),
        1 => format!("write {}", quoted_list(choices, "or")),
        2..=16 => format!("write one of {}", quoted_list(choices, "or")),
        count => format!("there are {count} to choose from, none of them like `{written}`"),
    }
}

/// The choice that a typing mistake is most likely to have been.
pub fn nearest<'a>(written: &str, choices: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    choices
        .map(|choice| {
            let near = strsim::jaro_winkler(&lower, &choice.to_lowercase());
            // A word inside another, as `depends` in `depends_on`, is near whatever the letters around it.
            let within = choice.contains(&lower) || lower.contains(choice);
            (if within && lower.len() > 2 && choice.len() > 1 { near.max(0.9) } else { near }, choice)
        })
        .filter(|(near, _)| *near > 0.82)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, choice)| choice)
}

/// `` `a`, `b` or `c` ``
pub fn quoted_list<'a>(words: impl Iterator<Item = &'a str>, last: &str) -> String {
    let quoted: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((end, before)) => format!("{} {last} {end}", before.join(", ")),
    }
}
