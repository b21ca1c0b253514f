//! Questions about queues: whether there is something in them, whether they are there, whether anybody works on them.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::{BEAT, Engine, GONE, OLDER, rows};
use flowsmith_core::sql::array;
use flowsmith_core::sql::quote::{identifier, literal};
use flowsmith_postgres::database::DatabaseError;

/// What a heartbeat or a look says of a queue.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) flow: String,
    /// Seconds until its next message is visible, less than 0 where one is; none where no message is there.
    pub(crate) due: Option<f64>,
    pub(crate) is_deprecated: bool,
}

impl Engine {
    /// Writes the heartbeat, in the same round trip as a look at these queues.
    pub(crate) async fn beat(
        &self,
        connection: &mut PgConnection,
        name: &str,
        flows: &[(&str, &str)],
        queues: &[&str],
    ) -> Result<Vec<News>, DatabaseError> {
        let beat = BEAT.fill(&[
            ("name", &literal(name)),
            ("ids", &array(flows.iter().map(|(_, id)| id), "uuid")),
            ("queues", &array(flows.iter().map(|(flow, _)| flow), "text")),
        ]);
        let look = look(queues.iter().copied());
        let mut news: Vec<News> = Vec::new();
        for row in rows(connection, format!("{beat};\n{look}")).await? {
            if row.len() == 3 {
                news.push(heard(&row)?);
            } else if row.try_get(1)? {
                news.push(News { flow: row.try_get(0)?, due: None, is_deprecated: true });
            }
        }
        Ok(news)
    }

    /// When each queue has its next message.
    pub(crate) async fn look(&self, connection: &mut PgConnection, flows: &[&str]) -> Result<Vec<News>, DatabaseError> {
        rows(connection, look(flows.iter().copied())).await?.iter().map(heard).collect()
    }

    /// Those of the flows whose queue is not there.
    pub(crate) async fn gone(
        &self,
        connection: &mut PgConnection,
        flows: &[&str],
    ) -> Result<Vec<String>, DatabaseError> {
        let sql = GONE.fill(&[("flows", &array(flows, "text"))]);
        rows(connection, sql).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Of these flows, those with runs under way that no worker works on: how many runs.
    pub(crate) async fn left_alone(
        &self,
        connection: &mut PgConnection,
        flows: &[String],
    ) -> Result<BTreeMap<String, i64>, DatabaseError> {
        let not_stopped = if self.notes_ends { "and w.stopped_at is null" } else { "" };
        let sql = OLDER.fill(&[("flows", &array(flows, "text")), ("not_stopped", not_stopped)]);
        let mut alone = BTreeMap::new();
        for row in rows(connection, sql).await? {
            if row.try_get::<i64, _>(2)? == 0 {
                alone.insert(row.try_get(0)?, row.try_get(1)?);
            }
        }
        Ok(alone)
    }
}

/// `min` goes through the queue's index on `vt`; a paused flow's messages are visible never.
fn look<'f>(flows: impl Iterator<Item = &'f str>) -> String {
    let each = flows.map(|flow| {
        let table = identifier(&format!("q_{}", flow.to_lowercase()));
        let flow = literal(flow);
        format!(
            "select {flow}, false, (select extract(epoch from min(q.vt)) - extract(epoch from clock_timestamp()) \
             from pgmq.{table} q where q.vt < 'infinity')::double precision"
        )
    });
    each.collect::<Vec<_>>().join("\nunion all ")
}

fn heard(row: &PgRow) -> Result<News, DatabaseError> {
    Ok(News { flow: row.try_get(0)?, is_deprecated: row.try_get(1)?, due: row.try_get(2)? })
}
