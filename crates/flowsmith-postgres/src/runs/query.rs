//! From a template to rows: every query's way to the database.

use std::future::Future;
use std::time::Duration;

use minijinja::{Environment, UndefinedBehavior, Value};
use serde::de::DeserializeOwned;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::RunsError;
use crate::database::DatabaseError;
use flowsmith_core::sql::quote::{identifier, literal};

/// Times are written in UTC. Compiling a plan takes longer than these plans run. An index is taken wherever there is one:
/// statistics may be from a time when few runs had ended.
const SETTINGS: &str = "set local timezone = 'UTC';\nset local jit = off;\nset local enable_seqscan = off;";

/// What several questions have in common.
const PARTS: [(&str, &str); 4] = [
    ("run_summary.sql", include_str!("run_summary.sql")),
    ("run_time.sql", include_str!("run_time.sql")),
    ("in_hand.sql", include_str!("in_hand.sql")),
    ("last_worker.sql", include_str!("last_worker.sql")),
];

tokio::task_local! {
    /// How long each statement may take.
    static LIMIT: Duration;
}

/// Has each statement of these questions take no longer than so long; the server gives up then, also where the one who asked has
/// gone.
pub async fn limited<T>(limit: Duration, questions: impl Future<Output = T>) -> T {
    LIMIT.scope(limit, questions).await
}

/// Answers a question, in one round trip and one snapshot. Writes nothing.
pub(super) async fn read<T: DeserializeOwned>(
    connection: &mut PgConnection,
    template: &str,
    context: &Value,
) -> Result<Vec<T>, RunsError> {
    rows(connection, "begin isolation level repeatable read, read only", &[], template, context).await
}

/// Changes something, in a transaction of its own.
pub(super) async fn write<T: DeserializeOwned>(
    connection: &mut PgConnection,
    template: &str,
    context: &Value,
) -> Result<Vec<T>, RunsError> {
    rows(connection, "begin", &[], template, context).await
}

/// The same, with statements that go before it and give no rows, such as notes in `flowsmith.events`.
pub(super) async fn write_after<T: DeserializeOwned>(
    connection: &mut PgConnection,
    before: &[&str],
    template: &str,
    context: &Value,
) -> Result<Vec<T>, RunsError> {
    rows(connection, "begin", before, template, context).await
}

async fn rows<T: DeserializeOwned>(
    connection: &mut PgConnection,
    begin: &str,
    before: &[&str],
    template: &str,
    context: &Value,
) -> Result<Vec<T>, RunsError> {
    let before: String = before.iter().map(|statement| render(statement, context) + ";\n").collect();
    let query = render(template, context);
    // As plain text: a bound value would take two round trips, which a transaction pooler may send to different servers.
    let limit = LIMIT.try_with(|limit| format!("set local statement_timeout = {};\n", limit.as_millis()));
    let limit = limit.unwrap_or_default();
    // As json, not jsonb, which would be built anew at every level.
    let text = format!(
        "{begin};\n{limit}{SETTINGS}\n{before}select to_json(answer)::text from (\n{query}\n) answer;\ncommit;"
    );
    match sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(&mut *connection).await {
        Ok(rows) => rows
            .iter()
            .map(|row| {
                let text: &str = row.try_get(0).map_err(DatabaseError::from)?;
                Ok(serde_json::from_str(text)?)
            })
            .collect(),
        Err(error) => {
            let error = DatabaseError::from(error);
            // Where the connection is gone, so is its transaction.
            let _ = sqlx::raw_sql("rollback").execute(connection).await;
            Err(error.into())
        }
    }
}

fn render(template: &str, context: &Value) -> String {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.add_filter("literal", |text: &str| literal(text));
    templates.add_filter("identifier", |name: &str| identifier(name));
    templates.add_filter("texts", |texts: Vec<String>| {
        format!("array[{}]::text[]", texts.iter().map(|text| literal(text)).collect::<Vec<_>>().join(", "))
    });
    templates.add_filter("payload", payload);
    for (name, text) in PARTS {
        templates.add_template(name, text).expect("a template of flowsmith's own");
    }
    templates
        .render_str(template, context)
        .unwrap_or_else(|error| panic!("a template of flowsmith's own and its context do not fit: {error:#}"))
}

/// The expression that gives a `Payload`: null where none is wanted; `cut`: how many characters of it are.
fn payload(value: &str, is_wanted: bool, cut: Option<u32>) -> String {
    match cut {
        _ if !is_wanted => "null".to_owned(),
        Some(cut) => format!(
            "case when {value} is not null then json_build_object('part', json_build_object('text', left(({value})::text, {cut}), 'bytes', octet_length(({value})::text))) end"
        ),
        None => format!("case when {value} is not null then json_build_object('whole', {value}) end"),
    }
}
