//! Notifications of new tasks, which wake a worker at once. They do not arrive behind a pooler in transaction mode; the listener
//! detects that by sending one to itself.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgListener;

use crate::event::Event;
use crate::shared::Shared;
use flowsmith_core::sql::quote::literal;
use flowsmith_postgres::database::{Backoff, DatabaseError, Failure, uses_transaction_pooler};

/// How long the notification of the self-test may take.
const SELF_TEST_TIMEOUT: Duration = Duration::from_secs(2);

/// A notification of the engine, as far as a worker needs it.
#[derive(Deserialize)]
struct Notification {
    event: String,
    #[serde(default)]
    payload: Payload,
}

#[derive(Deserialize, Default)]
struct Payload {
    flow_slug: Option<String>,
}

/// Listens until it is dropped. Returns if notifications cannot arrive.
pub(crate) async fn listen(shared: Arc<Shared>, poll_interval: Duration) {
    let polling = |reason: String| shared.emit(&Event::Polling { reason, interval: poll_interval });
    if let Some(reason) = &shared.services.engine.no_notifications_reason {
        return polling(reason.clone());
    }
    let mut backoff = Backoff::default();
    loop {
        let (event, pause) = match connect(&shared).await {
            Ok(Some(mut listener)) => {
                backoff.connected();
                shared.health.set_listening(true);
                shared.emit(&Event::Listening);
                // Earlier notifications were missed.
                (0..shared.flows.len()).for_each(|flow| shared.dispatcher.add_work(flow));
                let error = receive(&shared, &mut listener).await;
                shared.health.set_listening(false);
                let pause = backoff.lost();
                (Event::Disconnected { error: error.to_string(), retry_in: pause }, pause)
            }
            Ok(None) => {
                let reason = "notifications do not arrive, as behind a pooler in transaction mode";
                return polling(reason.to_owned());
            }
            // The password is being changed, or the database recreated: retried, as by every other connection.
            Err(error) if error.is_lost() || matches!(error.failure(), Failure::Refused | Failure::NoDatabase) => {
                let pause = backoff.failed();
                (Event::NotConnected { error: error.to_string(), retry_in: pause }, pause)
            }
            Err(error) => return polling(format!("LISTEN failed: {error}")),
        };
        shared.emit(&event);
        // The maintenance polls meanwhile.
        shared.dispatcher.request_check();
        tokio::time::sleep(pause).await;
    }
}

/// Connects, and tests whether notifications arrive; none if they do not, or if there is a pooler in between.
async fn connect(shared: &Shared) -> Result<Option<PgListener>, DatabaseError> {
    // A channel that only this worker uses: a pooler may give a session that still listens to other clients.
    let channel = format!("flowsmith_worker_{}", shared.worker_ids[0].replace('-', ""));
    let mut sender = shared.services.target.connect().await?;
    let mut listener = shared.services.target.listener().await?;
    // It would reconnect silently, so that missed notifications would go unnoticed.
    listener.eager_reconnect(false);
    if uses_transaction_pooler(&mut listener, &mut sender).await? {
        return Ok(None);
    }
    listener.listen(&channel).await?;
    let notify = format!("select pg_catalog.pg_notify({}, '')", literal(&channel));
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(notify)).execute(&mut sender).await {
        // A pooler gave the sender the session that listens, so the notification arrived there.
        return if error.to_string().contains("NotificationResponse") { Ok(None) } else { Err(error.into()) };
    }
    match tokio::time::timeout(SELF_TEST_TIMEOUT, listener.try_recv()).await {
        Ok(Ok(Some(_))) => {}
        Ok(Ok(None)) => return Err(lost()),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    }
    listener.listen("pgflow_events").await?;
    Ok(Some(listener))
}

fn lost() -> DatabaseError {
    DatabaseError::new(Failure::Lost, "the connection that listens for events was lost")
}

/// Receives notifications until the connection is lost.
async fn receive(shared: &Shared, listener: &mut PgListener) -> DatabaseError {
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => handle(shared, notification.payload()),
            Ok(None) => return lost(),
            Err(error) => return error.into(),
        }
    }
}

/// Wakes the flows that may have new tasks. `run:started` names the flow; `step:…:started` names only the step, which rules out
/// most flows.
fn handle(shared: &Shared, payload: &str) {
    // Other programs may send anything on this channel.
    let Ok(Notification { event, payload }) = serde_json::from_str(payload) else { return };
    if event == "run:started" {
        if let Some(at) = shared.flows.iter().position(|flow| Some(&flow.slug) == payload.flow_slug.as_ref()) {
            shared.dispatcher.add_work(at);
        }
        return;
    }
    let Some(step) = event.strip_prefix("step:").and_then(|event| event.strip_suffix(":started")) else { return };
    for (at, flow) in shared.flows.iter().enumerate() {
        if let Some(step) = flow.step(step) {
            shared.dispatcher.add_work(at);
            if step.is_delayed() {
                shared.dispatcher.request_check();
            }
        }
    }
}
