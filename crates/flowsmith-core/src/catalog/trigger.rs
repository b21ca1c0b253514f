//! Triggers: schedules, changes of tables and events of queues that start runs.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sql::quote::identifier;

/// A trigger. It starts runs while its flow version is current.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The name, unique in the flow.
    pub name: String,
    /// The trigger's purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The source of events.
    pub source: TriggerSource,
}

/// The source of a trigger's events, and the input of the runs that it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum TriggerSource {
    /// A schedule.
    Cron {
        /// The schedule in the syntax of pg_cron, in lower case and with single spaces.
        schedule: String,
        /// The run's input, normalised by [`super::canonical_json`].
        input: Value,
    },
    /// Changes of a table's rows.
    Table(TableTrigger),
    /// Events of a queue.
    Queue {
        /// The extension that the queue belongs to.
        kind: QueueKind,
        /// The name of the queue.
        queue: String,
        /// The SQL expression on `event` that computes the run's input; `None` for the data of the event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input_sql: Option<String>,
    },
}

/// A trigger on a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableTrigger {
    /// The table.
    pub table: TableName,
    /// The events that start runs, sorted.
    pub on: Vec<TableEvent>,
    /// The SQL condition on `new` and `old`; `None` for every event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The run's input.
    pub input: Input,
    /// Whether the change of the table fails if the run cannot be started.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict: bool,
}

// serde hands `skip_serializing_if` a reference.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// The input of the runs that a table trigger starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Input {
    /// A constant, normalised by [`super::canonical_json`].
    Value(Value),
    /// An SQL expression on `new` and `old`.
    Sql(String),
}

/// An event of a table trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableEvent {
    /// A row is inserted.
    Insert,
    /// A row is updated.
    Update,
    /// A row is deleted.
    Delete,
}

impl TableEvent {
    /// The name in flow files and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// The extension that a queue belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueKind {
    /// PgQ.
    Pgq,
    /// pgmq.
    Pgmq,
}

impl QueueKind {
    /// The prefix in flow files, without the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pgq => "pgq",
            Self::Pgmq => "pgmq",
        }
    }
}

/// The maximum length of an identifier in PostgreSQL, in bytes.
const MAX_IDENTIFIER: usize = 63;

/// A table name with its schema, quoted as far as SQL requires it. Equal tables have equal texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableName(String);

impl TableName {
    /// Parses a name as PostgreSQL does. A name without a schema is read as a table of `public`. Returns `None` if the text is not
    /// a table name.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = identifiers(text)?;
        let (schema, table) = match parts.as_slice() {
            [table] => ("public", table.as_str()),
            [schema, table] => (schema.as_str(), table.as_str()),
            _ => return None,
        };
        Some(Self(format!("{}.{}", quoted(schema), quoted(table))))
    }

    /// The name for use in SQL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Quotes a name unless PostgreSQL reads it unchanged without quotes and it is not a reserved word.
fn quoted(name: &str) -> String {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let bare = starts_well && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if bare && !is_reserved(name) { name.to_owned() } else { identifier(name) }
}

/// Whether a word is not allowed as a bare table or schema name in any of PostgreSQL 14 to 18.
fn is_reserved(word: &str) -> bool {
    const RESERVED: &str = " all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate \
collation column concurrently constraint create cross current_catalog current_date current_role current_schema current_time \
current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from full \
grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime \
localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning right \
select session_user similar some symmetric system_user table tablesample then to trailing true union unique user using \
variadic verbose when where window with ";
    RESERVED.contains(&format!(" {word} "))
}

/// Splits a text at its closing quote, reading `""` as a quote within the name. `None` if there is no closing quote.
fn in_quotes(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => rest = next,
            None => return Some((name, after)),
        }
        name.push('"');
    }
}

/// The parts of a dotted name as PostgreSQL reads it; `None` if PostgreSQL rejects the name.
pub(crate) fn identifiers(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name;
    loop {
        let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
            in_quotes(quoted)?
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let part = &rest[..end];
            let starts_well =
                part.starts_with(|first: char| first.is_alphabetic() || !first.is_ascii() || first == '_');
            if !starts_well
                || !part.chars().all(|each| each.is_alphanumeric() || !each.is_ascii() || each == '_' || each == '$')
            {
                return None;
            }
            // In multibyte encodings, PostgreSQL converts only ASCII letters to lower case.
            (part.to_ascii_lowercase(), &rest[end..])
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

impl Trigger {
    /// A short description of the source, such as `cron 0 2 * * *`.
    pub fn what(&self) -> String {
        match &self.source {
            TriggerSource::Cron { schedule, .. } => format!("cron {schedule}"),
            TriggerSource::Table(table) => {
                let events: Vec<&str> = table.on.iter().map(|event| event.as_str()).collect();
                format!("{} of {}", events.join(", "), table.table)
            }
            TriggerSource::Queue { kind, queue, .. } => format!("queue {}:{queue}", kind.as_str()),
        }
    }

    /// The table of a table trigger.
    pub fn table(&self) -> Option<&TableName> {
        match &self.source {
            TriggerSource::Table(table) => Some(&table.table),
            TriggerSource::Cron { .. } | TriggerSource::Queue { .. } => None,
        }
    }

    /// Whether the trigger is a schedule.
    pub fn is_schedule(&self) -> bool {
        matches!(self.source, TriggerSource::Cron { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::{TableName, identifiers};

    #[test]
    fn identifiers_are_read_as_in_postgresql() {
        let parts = |name| identifiers(name).map(|parts| parts.join("|"));
        assert_eq!(parts("public.Orders").as_deref(), Some("public|orders"));
        assert_eq!(parts("public.ÄPFEL").as_deref(), Some("public|Äpfel"));
        assert_eq!(parts("\"My Shop\".\"Orders\"").as_deref(), Some("My Shop|Orders"));
        assert_eq!(parts("public.\"a\"\"b\"").as_deref(), Some("public|a\"b"));
        for wrong in
            ["", ".", "a.", "a b", "a..b", "1a", "\"a", "a\"b", "\"a\"b\"", "\"a\"\"", "a; drop table b", "\"\".a"]
        {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn table_names_are_normalised() {
        let name = |text| TableName::parse(text).map(|name| name.as_str().to_owned());
        assert_eq!(name("Public.Orders").as_deref(), Some("public.orders"));
        assert_eq!(name("\"public\".\"orders\"").as_deref(), Some("public.orders"));
        assert_eq!(name("orders").as_deref(), Some("public.orders"));
        assert_eq!(name("shop.\"Order\"").as_deref(), Some("shop.\"Order\""));
        assert_eq!(name("shop.\"order\"").as_deref(), Some("shop.\"order\""));
        assert_eq!(name("shop.\"a\"\"b\"").as_deref(), Some("shop.\"a\"\"b\""));
        assert_eq!(name("db.shop.orders"), None);
    }
}
