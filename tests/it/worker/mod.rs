//! Workers on real engines: tasks, startup, shutdown, and lost connections.

mod command;
pub(crate) mod declared;
mod functions;
pub(crate) mod http_server;
mod idle;
mod log;
mod metrics;
pub(crate) mod process;
pub(crate) mod restartable;
mod results;
mod shutdown;
mod sql_handlers;
mod startup;
mod triggers;
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
use crate::fixture::command::flowsmith_engine;

/// The timeout of every wait, long enough for a busy machine.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A database with an engine, a connection for assertions, and the events of workers.
pub(super) struct Fixture {
    pub(super) database: Database,
    pub(super) c: PgConnection,
    pub(super) events: Events,
}

/// The events of workers.
#[derive(Clone, Default)]
pub(super) struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    pub(super) fn find(&self, mut wanted: impl FnMut(&Event) -> bool) -> Option<Event> {
        self.0.lock().unwrap().iter().find(|event| wanted(event)).cloned()
    }

    pub(super) fn count(&self, mut wanted: impl FnMut(&Event) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| wanted(event)).count()
    }

    /// Waits for an event.
    pub(super) async fn wait(&self, mut wanted: impl FnMut(&Event) -> bool) -> Event {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            if let Some(event) = self.find(&mut wanted) {
                return event;
            }
            assert!(Instant::now() < deadline, "no such event: {:#?}", self.0.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A running worker.
pub(super) struct RunningWorker {
    stop: oneshot::Sender<()>,
    pub(super) ended: JoinHandle<Result<(), WorkerError>>,
}

impl RunningWorker {
    /// Stops the worker, and waits until it has exited.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        tokio::time::timeout(WAIT_TIMEOUT, self.ended).await.expect("the worker exits").unwrap().unwrap();
    }

    /// Stops the worker without waiting.
    pub(super) fn begin_to_stop(self) -> JoinHandle<Result<(), WorkerError>> {
        let _ = self.stop.send(());
        self.ended
    }
}

impl Fixture {
    /// A database with flowsmith's engine and these definitions.
    pub(super) async fn with(definitions: &str) -> Self {
        Self::on(flowsmith_engine().await, definitions).await
    }

    pub(super) async fn on(database: Database, definitions: &str) -> Self {
        let mut c = database.connect().await;
        execute(&mut c, definitions).await;
        Self { database, c, events: Events::default() }
    }

    pub(super) fn target(&self) -> Target {
        Target::new(self.database.options())
    }

    /// A worker whose events are collected.
    pub(super) fn builder(&self) -> Builder {
        let events = self.events.clone();
        Worker::builder().observe(move |event| events.0.lock().unwrap().push(event.clone()))
    }

    pub(super) async fn work(&self, builder: Builder) -> RunningWorker {
        self.work_at(builder, self.database.options()).await
    }

    pub(super) async fn work_at(&self, builder: Builder, options: PgConnectOptions) -> RunningWorker {
        let worker = builder.connect(&Target::new(options)).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(worker.run(async move { stopped.await.unwrap_or(()) }));
        RunningWorker { stop, ended }
    }

    /// Starts a run and returns its id.
    pub(super) async fn start(&mut self, flow: &str, input: &str) -> String {
        let start = format!("(select run_id from pgflow.start_flow('{flow}', $input${input}$input$))");
        text(&mut self.c, &start).await.unwrap()
    }

    pub(super) async fn text(&mut self, expression: &str) -> String {
        text(&mut self.c, expression).await.unwrap_or_default()
    }

    /// Waits until an SQL condition is true.
    pub(super) async fn until(&mut self, condition: &str) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while self.text(condition).await != "true" {
            if Instant::now() > deadline {
                let tasks = self.text("(select jsonb_pretty(jsonb_agg(t)) from pgflow.step_tasks t)").await;
                panic!("still false: {condition}\n{tasks}\n{:#?}", self.events.0.lock().unwrap());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a run has ended, and returns its status and output.
    pub(super) async fn end_of(&mut self, run_id: &str) -> (String, serde_json::Value) {
        self.until(&format!("(select status <> 'started' from pgflow.runs where run_id = '{run_id}')")).await;
        let status = self.text(&format!("(select status from pgflow.runs where run_id = '{run_id}')")).await;
        let output = self.text(&format!("(select output from pgflow.runs where run_id = '{run_id}')")).await;
        (status, serde_json::from_str(&output).unwrap_or_default())
    }

    /// Asserts that no invariant of the engine is violated.
    pub(super) async fn assert_sound(&mut self) {
        assert_eq!(self.text("(select string_agg(v::text, e'\\n') from pgflow.violations() v)").await, "");
    }
}
