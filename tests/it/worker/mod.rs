//! Workers on real engines: what they do with tasks, how they begin and end, what they survive.

mod command;
mod declared;
mod ending;
mod functions;
mod http_server;
mod idle;
mod log;
mod metrics;
mod process;
mod proof;
mod queries;
mod reporting;
mod restartable;
mod server_killed;
mod starting;
mod waiting;
mod warnings;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flowsmith_postgres::database::Target;
use flowsmith_worker::{Builder, Event, Worker, WorkerError};
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::ours;

/// Longest wait for anything, on the busiest machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A database with an engine, a connection to look on, and what workers have told.
pub(super) struct Scene {
    pub(super) database: Database,
    pub(super) c: PgConnection,
    pub(super) events: Events,
}

/// What workers have told.
#[derive(Clone, Default)]
pub(super) struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    pub(super) fn find(&self, mut wanted: impl FnMut(&Event) -> bool) -> Option<Event> {
        self.0.lock().unwrap().iter().find(|event| wanted(event)).cloned()
    }

    pub(super) fn count(&self, mut wanted: impl FnMut(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| wanted(event)).count()
    }

    /// Waits until one has come.
    pub(super) async fn wait(&self, mut wanted: impl FnMut(&Event) -> bool) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.find(&mut wanted) {
                return event;
            }
            assert!(Instant::now() < deadline, "never told: {:#?}", self.0.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A worker at work.
pub(super) struct Working {
    stop: oneshot::Sender<()>,
    pub(super) ended: JoinHandle<Result<(), WorkerError>>,
}

impl Working {
    /// Tells it to end, and waits for that.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        tokio::time::timeout(PATIENCE, self.ended).await.expect("it ends").unwrap().unwrap();
    }

    /// Tells it to end.
    pub(super) fn begin_to_stop(self) -> JoinHandle<Result<(), WorkerError>> {
        let _ = self.stop.send(());
        self.ended
    }
}

impl Scene {
    /// With our engine and these definitions.
    pub(super) async fn with(definitions: &str) -> Self {
        Self::on(ours().await, definitions).await
    }

    pub(super) async fn on(database: Database, definitions: &str) -> Self {
        let mut c = database.connect().await;
        execute(&mut c, definitions).await;
        Self { database, c, events: Events::default() }
    }

    pub(super) fn target(&self) -> Target {
        Target::new(self.database.options())
    }

    /// A worker that tells its events here.
    pub(super) fn builder(&self) -> Builder {
        let events = self.events.clone();
        Worker::builder().observe(move |event| events.0.lock().unwrap().push(event.clone()))
    }

    pub(super) async fn work(&self, builder: Builder) -> Working {
        self.work_at(builder, self.database.options()).await
    }

    pub(super) async fn work_at(&self, builder: Builder, options: PgConnectOptions) -> Working {
        let worker = builder.connect(&Target::new(options)).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(worker.run(async move { stopped.await.unwrap_or(()) }));
        Working { stop, ended }
    }

    /// Starts a run, and returns its id.
    pub(super) async fn start(&mut self, flow: &str, input: &str) -> String {
        let start = format!("(select run_id from pgflow.start_flow('{flow}', $input${input}$input$))");
        text(&mut self.c, &start).await.unwrap()
    }

    pub(super) async fn text(&mut self, expression: &str) -> String {
        text(&mut self.c, expression).await.unwrap_or_default()
    }

    /// Waits until an SQL condition holds.
    pub(super) async fn until(&mut self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.text(condition).await != "true" {
            if Instant::now() > deadline {
                let tasks = self.text("(select jsonb_pretty(jsonb_agg(t)) from pgflow.step_tasks t)").await;
                panic!("never true: {condition}\n{tasks}\n{:#?}", self.events.0.lock().unwrap());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a run is over, and returns its status and output.
    pub(super) async fn end_of(&mut self, run_id: &str) -> (String, serde_json::Value) {
        self.until(&format!("(select status <> 'started' from pgflow.runs where run_id = '{run_id}')")).await;
        let status = self.text(&format!("(select status from pgflow.runs where run_id = '{run_id}')")).await;
        let output = self.text(&format!("(select output from pgflow.runs where run_id = '{run_id}')")).await;
        (status, serde_json::from_str(&output).unwrap_or_default())
    }

    /// Nothing of the engine's rules is broken.
    pub(super) async fn assert_sound(&mut self) {
        assert_eq!(self.text("(select string_agg(v::text, e'\\n') from pgflow.violations() v)").await, "");
    }
}
