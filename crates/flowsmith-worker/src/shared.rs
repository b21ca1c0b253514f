//! The state that all parts of a running worker share.

use std::sync::Arc;

use tokio::sync::watch;

use crate::connection_health::{ConnectionHealth, NotReady};
use crate::dispatcher::Dispatcher;
use crate::engine::TaskId;
use crate::event::{Event, TaskName};
use crate::flow::Flow;
use crate::services::Services;
use flowsmith_core::catalog::FlowId;

/// The state that all parts of a running worker share.
pub(crate) struct Shared {
    pub(crate) services: Arc<Services>,
    /// The name in `pgflow.workers.function_name`.
    pub(crate) name: String,
    pub(crate) flows: Vec<Flow>,
    /// Older versions of the flows that this worker does not serve.
    pub(crate) older_versions: Vec<FlowId>,
    /// The ids of the worker's rows, one for each flow.
    pub(crate) worker_ids: Vec<String>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) health: ConnectionHealth,
    /// Becomes true when running tasks are cancelled.
    pub(crate) cancellation: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn emit(&self, event: &Event) {
        self.services.emit(event);
    }

    /// Reports a call that the database rejected.
    pub(crate) fn emit_rejected(&self, operation: impl Into<String>, error: &impl ToString) {
        self.emit(&Event::Rejected { operation: operation.into(), error: error.to_string() });
    }

    /// Why the worker claims no tasks; none if it does.
    pub(crate) fn not_ready(&self) -> Option<NotReady> {
        self.health.not_ready().or_else(|| self.dispatcher.is_rejected().then_some(NotReady::ClaimsRejected))
    }

    /// The slugs of the worker's flows.
    pub(crate) fn slugs(&self) -> Vec<&str> {
        self.flows.iter().map(|flow| flow.slug.as_str()).collect()
    }

    pub(crate) fn task_name(&self, flow: usize, id: &TaskId) -> TaskName {
        TaskName {
            flow: self.flows[flow].slug.clone(),
            step: id.step_slug.clone(),
            run_id: id.run_id.clone(),
            task_index: id.task_index,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        *self.cancellation.borrow()
    }

    /// Resolves when running tasks are cancelled.
    pub(crate) async fn cancelled(&self) {
        let mut cancellation = self.cancellation.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = cancellation.wait_for(|is_cancelled| *is_cancelled).await;
    }
}
