//! Handlers, which perform the tasks of a step: functions of a program, or programs, requests and queries declared in flow files.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::{Event, TaskName};
use crate::outcome::{HandlerError, Outcome};
use crate::services::Services;

/// The task that a handler performs, without its input.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Context {
    /// The flow's slug in the database.
    pub flow: String,
    /// The step.
    pub step: String,
    /// The run, a UUID.
    pub run_id: String,
    /// The index in the array of a map, from 0; 0 for a single step.
    pub task_index: i32,
    /// The number of the attempt, from 1. An attempt whose handler did not start does not count.
    pub attempt: u32,
    /// The timeout of the step, after which the handler is dropped.
    pub timeout: Duration,
    /// The id of the worker's row in `pgflow.workers`.
    pub(crate) worker_id: String,
    pub(crate) services: Arc<Services>,
}

impl Context {
    /// The name of the task for people.
    pub fn task(&self) -> TaskName {
        let Self { flow, step, run_id, task_index, .. } = self;
        let (flow, step, run_id) = (flow.clone(), step.clone(), run_id.clone());
        TaskName { flow, step, run_id, task_index: *task_index }
    }

    /// A key that is the same for every attempt at this task and different for every other task: `run/step/index`. Pass it to
    /// services that must not perform a request twice, because a task may run more than once.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}/{}", self.run_id, self.step, self.task_index)
    }

    /// Reports a line about the task as [`Event::TaskLogged`].
    pub fn log(&self, line: impl Into<String>) {
        self.services.emit(&Event::TaskLogged { task: self.task(), line: line.into() });
    }
}

/// Performs the tasks of a step.
pub(crate) trait Handler: Send + Sync {
    /// Performs one task. The input is JSON. The future is dropped at the timeout.
    fn handle(&self, input: String, context: Context) -> BoxFuture<'static, Outcome>;

    /// Whether each task needs a connection for `sql` handlers. Such a task starts when a connection is available, and enforces
    /// its timeout itself, starting when it has the connection.
    fn needs_connection(&self) -> bool {
        false
    }
}

/// The handlers of a flow, by step.
pub(crate) type StepHandlers = Vec<(String, Arc<dyn Handler>)>;

/// An async function as a handler.
pub(crate) struct FunctionHandler<F, I> {
    function: F,
    input: PhantomData<fn(I)>,
}

impl<F, I> FunctionHandler<F, I> {
    pub(crate) fn new(function: F) -> Self {
        Self { function, input: PhantomData }
    }
}

impl<F, I, O, Fut> Handler for FunctionHandler<F, I>
where
    F: Fn(I, Context) -> Fut + Send + Sync,
    Fut: Future<Output = Result<O, HandlerError>> + Send + 'static,
    I: DeserializeOwned,
    O: Serialize,
{
    fn handle(&self, input: String, context: Context) -> BoxFuture<'static, Outcome> {
        let input = match serde_json::from_str(&input) {
            Ok(input) => input,
            Err(error) => {
                let error = HandlerError::permanent(format!("the handler does not accept the input: {error}"));
                return futures_util::future::ready(Outcome::Failed(error)).boxed();
            }
        };
        let future = (self.function)(input, context);
        async move {
            match future.await.map(|output| serde_json::to_string(&output)) {
                Ok(Ok(output)) => Outcome::Output(output),
                Ok(Err(error)) => Outcome::Failed(HandlerError::permanent(format!("the output is not JSON: {error}"))),
                Err(error) => Outcome::Failed(error),
            }
        }
        .boxed()
    }
}
