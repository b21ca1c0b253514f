//! What starts runs of a flow: schedules, changes of tables, events of queues.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sql::quote::identifier;

/// One trigger. It starts runs while its flow version is the current one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Its name, unique in the flow.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it listens to.
    pub source: TriggerSource,
}

/// What a trigger listens to, and the input that it starts runs with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum TriggerSource {
    /// The clock.
    Cron {
        /// As pg_cron reads it, in small letters, with single spaces.
        schedule: String,
        /// The run's input, normalised by [`super::canonical_json`].
        input: Value,
    },
    /// Changes of rows.
    Table(TableTrigger),
    /// Events of a queue.
    Queue {
        /// Whose queue.
        kind: QueueKind,
        /// Its name.
        queue: String,
        /// SQL expression on `event` for the run's input; none = the event's data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input_sql: Option<String>,
    },
}

/// What listens to a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableTrigger {
    /// The table as SQL names it, with its schema.
    pub table: TableName,
    /// The changes that start runs, sorted.
    pub on: Vec<TableEvent>,
    /// SQL condition on `new` and `old`; none = every change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The run's input.
    pub input: Input,
    /// Whether a run that cannot be started fails the change of the table.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict: bool,
}

// serde hands `skip_serializing_if` a reference.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Where the input of a run comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Input {
    /// The same for every run, normalised by [`super::canonical_json`].
    Value(Value),
    /// An SQL expression on `new` and `old`.
    Sql(String),
}

/// A change of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableEvent {
    /// A row is new.
    Insert,
    /// A row has changed.
    Update,
    /// A row is gone.
    Delete,
}

impl TableEvent {
    /// The word in flow files and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Whose queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueKind {
    /// PgQ's.
    Pgq,
    /// pgmq's.
    Pgmq,
}

impl QueueKind {
    /// The word before the colon in flow files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pgq => "pgq",
            Self::Pgmq => "pgmq",
        }
    }
}

/// The longest identifier of PostgreSQL, in bytes.
const MAX_IDENTIFIER: usize = 63;

/// The name of a table with its schema, quoted where SQL needs it: one text per table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableName(String);

impl TableName {
    /// Reads a name as PostgreSQL does. One without a schema is taken for a table of `public`; none where the text is no
    /// name of a table.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = identifiers(text)?;
        let (schema, table) = match parts.as_slice() {
            [table] => ("public", table.as_str()),
            [schema, table] => (schema.as_str(), table.as_str()),
            _ => return None,
        };
        Some(Self(format!("{}.{}", quoted(schema), quoted(table))))
    }

    /// For SQL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name of which PostgreSQL makes no other where it is bare is left bare, unless it could be a word of SQL: which ones
/// those are differs between versions, so that only `public` is known to be none.
fn quoted(name: &str) -> String {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let bare = starts_well && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if bare && !is_reserved(name) { name.to_owned() } else { identifier(name) }
}

/// Words that PostgreSQL 14 to 18 do not take for the name of a table or a schema.
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

/// What stands before the closing quote, where `""` is one quote, and what comes behind it; none where nothing closes.
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

/// The parts of a dotted name as PostgreSQL reads it; none where it would not.
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
            // Where characters have several bytes, PostgreSQL folds ASCII alone.
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
    /// What kind it is and what it listens to, in a few words: `cron 0 2 * * *`.
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

    /// The table that it listens to, if it is one.
    pub fn table(&self) -> Option<&TableName> {
        match &self.source {
            TriggerSource::Table(table) => Some(&table.table),
            TriggerSource::Cron { .. } | TriggerSource::Queue { .. } => None,
        }
    }

    /// Whether it is a schedule.
    pub fn is_schedule(&self) -> bool {
        matches!(self.source, TriggerSource::Cron { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::{TableName, identifiers};

    #[test]
    fn names_of_tables_are_read_as_postgresql_reads_them() {
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
    fn a_table_has_one_name() {
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
