//! What does the work of a step: a function of the caller's, or what a flow file declares.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::event::{Event, TaskName};
use super::shared::Tools;

/// What a handler knows of its task, besides the input.
#[derive(Debug, Clone)]
pub struct Context {
    /// The flow's slug in the database.
    pub flow: String,
    /// The step.
    pub step: String,
    /// The run, a UUID.
    pub run_id: String,
    /// Its place in the array of a map, from 0; 0 for a single step.
    pub task_index: i32,
    /// Which attempt at the task it is, from 1. One that was handed back before it began does not count.
    pub attempt: u32,
    /// How long the task may take; the handler is dropped then.
    pub timeout: Duration,
    /// The worker's row in `pgflow.workers`.
    pub(super) worker_id: String,
    pub(super) tools: Arc<Tools>,
}

impl Context {
    /// The task in words.
    pub fn task(&self) -> TaskName {
        let Self { flow, step, run_id, task_index, .. } = self;
        let (flow, step, run_id) = (flow.clone(), step.clone(), run_id.clone());
        TaskName { flow, step, run_id, task_index: *task_index }
    }

    /// The same for each attempt at the task and for no other task, `run/step/index`: whoever gets it with what is asked of them
    /// can tell a repetition, which a task that is done at least once needs.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}/{}", self.run_id, self.step, self.task_index)
    }

    /// Tells whoever runs the worker a line about the task, as for a log.
    pub fn say(&self, line: impl Into<String>) {
        (self.tools.observer)(&Event::TaskSaid { task: self.task(), line: line.into() });
    }
}

/// Why a handler could not do its task. Any error becomes one with `?`, to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerError {
    pub(super) message: String,
    pub(super) is_final: bool,
}

impl HandlerError {
    /// The task is tried again while its step has attempts left.
    pub fn retry(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_final: false }
    }

    /// It has taken longer than it may.
    pub(super) fn timed_out(timeout: Duration) -> Self {
        Self::retry(format!("timed out after {} s", timeout.as_secs()))
    }

    /// The task fails at once: trying again would give the same.
    pub fn last(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_final: true }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// As in `anyhow`: this type is no `Error` itself, so that every other one can become it.
impl<E: std::error::Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::retry(chain(&error))
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    message
}

/// How a task ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// With this output, as JSON.
    Output(String),
    /// The handler has completed it in the database itself.
    Completed,
    /// The handler has found that it is not this worker's any more.
    Gone,
    /// With an error.
    Failed(HandlerError),
    /// Nobody can tell: the connection was lost, for this reason. If the task is still this worker's, nothing was committed and
    /// the attempt has failed.
    Lost(String),
    /// It could not begin, since no connection could be had: it goes back as if nobody had taken it.
    Unbegun(Unreached),
}

/// No connection could be had.
#[derive(Debug)]
pub(super) struct Unreached {
    /// Why, where that is news.
    pub(super) error: Option<String>,
    /// How long not to try again.
    pub(super) pause: Duration,
}

/// What does a step's tasks.
pub(super) trait Handle: Send + Sync {
    /// Does one; the input is JSON. Dropped where it takes too long.
    fn handle(&self, input: String, context: Context) -> BoxFuture<'static, Outcome>;

    /// Whether each task needs one of the connections for `sql` handlers. Such tasks begin where there is room for them, and see
    /// to their timeouts themselves, from when they have a connection.
    fn needs_connection(&self) -> bool {
        false
    }
}

/// An async function as a handler.
pub(super) struct Function<F, I> {
    function: F,
    input: std::marker::PhantomData<fn(I)>,
}

impl<F, I> Function<F, I> {
    pub(super) fn new(function: F) -> Self {
        Self { function, input: std::marker::PhantomData }
    }
}

impl<F, I, O, Doing> Handle for Function<F, I>
where
    F: Fn(I, Context) -> Doing + Send + Sync,
    Doing: Future<Output = Result<O, HandlerError>> + Send + 'static,
    I: DeserializeOwned,
    O: Serialize,
{
    fn handle(&self, input: String, context: Context) -> BoxFuture<'static, Outcome> {
        let input = match serde_json::from_str(&input) {
            Ok(input) => input,
            Err(error) => {
                let unfit = HandlerError::last(format!("the handler does not accept the input: {error}"));
                return futures_util::future::ready(Outcome::Failed(unfit)).boxed();
            }
        };
        let doing = (self.function)(input, context);
        async move {
            match doing.await.map(|output| serde_json::to_string(&output)) {
                Ok(Ok(output)) => Outcome::Output(output),
                Ok(Err(error)) => Outcome::Failed(HandlerError::last(format!("the output is not JSON: {error}"))),
                Err(error) => Outcome::Failed(error),
            }
        }
        .boxed()
    }
}
