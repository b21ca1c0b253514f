//! Checks before a worker starts: the steps of its flows, and their definitions in the database.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::PgConnection;

use crate::engine::{Engine, StepOptions, StepsByFlow};
use crate::error::WorkerError;
use crate::flow::{Flow, Step};
use crate::handler::StepHandlers;
use flowsmith_core::catalog::{self, Catalog};
use flowsmith_core::diff::{Change, FlowDelta, diff};
use flowsmith_postgres::introspection::Live;

/// The handlers of a flow, as a program or a flow file declares them.
pub(crate) struct FlowHandlers {
    /// The slug in the database.
    pub(crate) slug: String,
    pub(crate) handlers: StepHandlers,
    /// How many tasks of a step may run at once, by step.
    pub(crate) limits: BTreeMap<String, usize>,
}

/// Matches handlers with the steps in the database.
///
/// # Errors
/// If a flow does not exist in the database, or its steps and handlers differ.
pub(crate) async fn match_handlers(
    declared: Vec<FlowHandlers>,
    engine: &Engine,
    connection: &mut PgConnection,
) -> Result<Vec<Flow>, WorkerError> {
    let slugs: Vec<&str> = declared.iter().map(|flow| flow.slug.as_str()).collect();
    let mut steps = engine.steps(connection, &slugs).await?;
    let missing: Vec<String> =
        slugs.iter().filter(|slug| !steps.contains_key(**slug)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        return Err(WorkerError::NoFlow { flows: missing });
    }
    declared.into_iter().map(|flow| match_flow(&mut steps, flow)).collect()
}

fn match_flow(steps: &mut StepsByFlow, flow: FlowHandlers) -> Result<Flow, WorkerError> {
    let FlowHandlers { slug, handlers, limits } = flow;
    match steps.remove(&slug) {
        Some(existing) => match match_steps(existing, handlers, &limits) {
            Ok(steps) => Ok(Flow { slug, steps }),
            Err(problems) => Err(WorkerError::Steps { flow: slug, problems }),
        },
        None => Err(WorkerError::Steps { flow: slug, problems: vec!["the flow is named twice".to_owned()] }),
    }
}

/// The steps of a flow with their handlers, or all problems.
fn match_steps(
    existing: Vec<(String, StepOptions)>,
    mut handlers: StepHandlers,
    limits: &BTreeMap<String, usize>,
) -> Result<Vec<Arc<Step>>, Vec<String>> {
    let mut problems = Vec::new();
    let mut steps: Vec<Arc<Step>> = Vec::new();
    for (step, options) in existing {
        match handlers.iter().position(|(name, _)| *name == step) {
            Some(at) => {
                let (_, handler) = handlers.swap_remove(at);
                let limit = limits.get(&step).copied();
                steps.push(Arc::new(Step::new(step, handler, limit, options)));
            }
            None => problems.push(format!("step {step} has no handler")),
        }
    }
    for (step, _) in handlers {
        let is_duplicate = steps.iter().any(|known| known.slug == step);
        let problem =
            if is_duplicate { "has two handlers" } else { "has a handler but does not exist in the database" };
        problems.push(format!("step {step} {problem}"));
    }
    for step in limits.keys().filter(|step| steps.iter().all(|known| known.slug != **step)) {
        problems.push(format!("step {step} has a limit but no handler"));
    }
    if problems.is_empty() { Ok(steps) } else { Err(problems) }
}

/// The differences between flow files and the database, one text each. Flows that do not exist are left out, because
/// [`match_handlers`] reports them. So are handlers, which the engine does not store, and triggers, whose ledger the role of a
/// worker may not read.
pub(crate) fn differences(flows: &[Arc<catalog::Flow>], live: &Live) -> Vec<String> {
    let (mut expected, mut actual) = (Catalog::new(), Catalog::new());
    for flow in flows {
        if let Some(found) = live.catalog.get(&flow.id.database_slug()) {
            actual.insert(Arc::clone(found));
            expected.insert(Arc::clone(flow));
        }
    }
    let mut texts = Vec::new();
    for change in diff(&actual, &expected).changes {
        let Change::Alter(alteration) = &change else { continue };
        let relevant = alteration.deltas.iter().filter(|delta| concerns_workers(delta));
        texts.extend(relevant.map(|delta| format!("{}: {delta}", alteration.to.id)));
    }
    let slugs = flows.iter().map(|flow| flow.id.database_slug());
    let missing = slugs.filter(|slug| live.without_queue.contains(slug));
    texts.extend(
        missing.map(|slug| format!("{slug}: the queue is missing; `flowsmith compile --from-live` recreates it")),
    );
    texts
}

fn concerns_workers(delta: &FlowDelta) -> bool {
    !matches!(
        delta,
        FlowDelta::Id(_)
            | FlowDelta::State(_)
            | FlowDelta::Annotations(_)
            | FlowDelta::TriggerAdded(_)
            | FlowDelta::TriggerRemoved(_)
            | FlowDelta::Trigger(_)
            | FlowDelta::Triggers
    )
}
