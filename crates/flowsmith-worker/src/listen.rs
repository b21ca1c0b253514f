//! Notifications, which wake a worker at once. Behind a pooler they do not come, which is found out by sending one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgListener;

use super::event::Event;
use super::shared::Shared;
use flowsmith_core::sql::quote::literal;
use flowsmith_postgres::database::{DatabaseError, Failure, Pauses, uses_transaction_pooler};

/// How long a notification that was sent as a test may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether notifications come.
#[derive(Debug, Default)]
pub(super) struct Hearing(AtomicBool);

impl Hearing {
    pub(super) fn is_listening(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a notification says, as far as it matters here.
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

/// Listens until it is dropped, or until it is clear that nothing is to be heard.
pub(super) async fn listen(shared: Arc<Shared>, hearing: &Hearing, poll_interval: Duration) {
    let polling = |why: String| shared.tell(&Event::Polling { why, every: poll_interval });
    if let Some(why) = &shared.tools.engine.silent {
        return polling(why.clone());
    }
    let mut pauses = Pauses::default();
    loop {
        let event = match connect(&shared).await {
            Ok(Some(mut listener)) => {
                pauses.connected();
                hearing.0.store(true, Ordering::Relaxed);
                shared.tell(&Event::Listening);
                // What has come before.
                (0..shared.flows.len()).for_each(|flow| shared.board.want(flow));
                let error = hear(&shared, &mut listener).await;
                hearing.0.store(false, Ordering::Relaxed);
                Event::Disconnected { error: error.to_string(), again_in: pauses.lost() }
            }
            Ok(None) => {
                let why = "notifications do not arrive, as behind a pooler in transaction mode";
                return polling(why.to_owned());
            }
            // A password that is being changed, a database that is being made anew: as for every other connection.
            Err(error) if error.is_lost() || matches!(error.failure(), Failure::Refused | Failure::NoDatabase) => {
                Event::NotConnected { error: error.to_string(), again_in: pauses.failed() }
            }
            Err(error) => return polling(format!("LISTEN failed: {error}")),
        };
        shared.tell(&event);
        // Somebody has to look meanwhile.
        shared.board.look.notify_one();
        if let Event::Disconnected { again_in, .. } | Event::NotConnected { again_in, .. } = event {
            tokio::time::sleep(again_in).await;
        }
    }
}

/// Listens, and sends itself a notification; none where that does not come, or a pooler is seen to be between.
async fn connect(shared: &Shared) -> Result<Option<PgListener>, DatabaseError> {
    // Only this worker's, so that nothing is left listening to events where a pooler gives the connection to others.
    let channel = format!("flowsmith_worker_{}", shared.worker_ids[0].replace('-', ""));
    let mut sender = shared.tools.target.connect().await?;
    let mut listener = shared.tools.target.listener().await?;
    // It would connect again by itself, and nobody would look for what was missed.
    listener.eager_reconnect(false);
    if uses_transaction_pooler(&mut listener, &mut sender).await? {
        return Ok(None);
    }
    listener.listen(&channel).await?;
    let notify = format!("select pg_notify({}, '')", literal(&channel));
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(notify)).execute(&mut sender).await {
        // A pooler has given the sender the session that listens, and the notification came to the wrong one.
        return if error.to_string().contains("NotificationResponse") { Ok(None) } else { Err(error.into()) };
    }
    match tokio::time::timeout(PATIENCE, listener.try_recv()).await {
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

/// Hears until the connection is lost.
async fn hear(shared: &Shared, listener: &mut PgListener) -> DatabaseError {
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => wake(shared, notification.payload()),
            Ok(None) => return lost(),
            Err(error) => return error.into(),
        }
    }
}

/// A run has started, or a step of one: its flow may have tasks. Only the first says which flow it is; a step's name is enough
/// to leave out most of the others.
fn wake(shared: &Shared, payload: &str) {
    // Whatever else is sent on the channel is not an event of ours.
    let Ok(Notification { event, payload }) = serde_json::from_str(payload) else { return };
    if event == "run:started" {
        if let Some(at) = shared.flows.iter().position(|flow| Some(&flow.slug) == payload.flow_slug.as_ref()) {
            shared.board.want(at);
        }
        return;
    }
    let Some(step) = event.strip_prefix("step:").and_then(|event| event.strip_suffix(":started")) else { return };
    for (at, flow) in shared.flows.iter().enumerate() {
        if let Some(step) = flow.step(step) {
            shared.board.want(at);
            if step.is_delayed.load(Ordering::Relaxed) {
                shared.board.look.notify_one();
            }
        }
    }
}
