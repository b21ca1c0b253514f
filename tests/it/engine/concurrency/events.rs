//! Events of the engine, received by `listen`.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::{PgConnection, PgListener};

use super::query;
use crate::fixture::Database;

/// Receives the events of a database from now on.
pub(super) struct Events(PgListener);

impl Events {
    pub(super) async fn listen(database: &Database) -> Self {
        let pool = PgPool::connect_with(database.options()).await.unwrap();
        let mut listener = PgListener::connect_with(&pool).await.unwrap();
        listener.listen("pgflow_events").await.unwrap();
        Self(listener)
    }

    /// Asserts one event for each completed run and each completed or skipped step, and no other such events.
    pub(super) async fn assert_received_once(mut self, connection: &mut PgConnection) {
        query(connection, "select pg_notify('pgflow_events', 'the end')").await.unwrap();
        let mut received: HashMap<String, u32> = HashMap::new();
        loop {
            let notification = self.0.recv().await.unwrap();
            if notification.payload() == "the end" {
                break;
            }
            let event: Value = serde_json::from_str(notification.payload()).unwrap();
            let (topic, name) = (event["topic"].as_str().unwrap(), event["event"].as_str().unwrap());
            if name.ends_with(":completed") || name.ends_with(":skipped") {
                *received.entry(format!("{topic} {name}")).or_default() += 1;
            }
        }
        let ended = "select 'pgflow:run:' || run_id || ' step:' || step_slug || ':' || status from pgflow.step_states
                    where status in ('completed', 'skipped')
                    union all select 'pgflow:run:' || run_id || ' run:' || status from pgflow.runs where status = 'completed'";
        for event in query(connection, ended).await.unwrap().lines() {
            assert_eq!(received.remove(event), Some(1), "{event}");
        }
        assert_eq!(received, HashMap::new(), "unexpected events");
    }
}
