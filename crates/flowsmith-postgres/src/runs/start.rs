//! Starting a run.

use minijinja::context;
use serde::Deserialize;
use sqlx::postgres::PgConnection;

use super::{Engine, FlowVersion, RunPrefix, RunSummary, RunsError, StartInput, query};
use crate::database::{DatabaseError, Failure};
use flowsmith_core::catalog::{State, UnknownFlow};

/// Starts a run of a flow version and returns the run, which may already have ended.
///
/// # Errors
/// If the id exists, the engine rejects the input, or the database reports an error.
pub async fn start_run(
    connection: &mut PgConnection,
    engine: Engine,
    flow: &FlowVersion,
    input: &StartInput,
    run_id: Option<&RunPrefix>,
) -> Result<RunSummary, RunsError> {
    let run_id = run_id.and_then(RunPrefix::whole);
    // `flowsmith.start_flow` needs fewer privileges than `pgflow.start_flow`, but starts the current version only.
    let by_name = engine.has_ledger && flow.state == State::Current;
    let context = context! {
        engine => engine.context(),
        what => "start",
        by_name,
        flow => flow.flow.as_str(),
        slug => flow.slug.as_str(),
        input => input.text.as_str(),
        run_id => run_id.as_deref(),
    };
    let started: Result<Vec<RunSummary>, _> = query::write(connection, &["call.sql"], "changed_run.sql", context).await;
    let mut runs = match started {
        Ok(runs) => runs,
        Err(RunsError::Database(error)) => {
            return Err(rejection(connection, flow, input, run_id, by_name, error).await);
        }
        Err(error) => return Err(error),
    };
    let mut run = runs.pop().ok_or_else(|| {
        let message = "start_flow returned no row";
        RunsError::Answer(serde::de::Error::custom(message))
    })?;
    if run.slug == flow.slug {
        run.flow.clone_from(&flow.flow);
        run.version = flow.version;
    }
    Ok(run)
}

/// Why the database did not start a run.
async fn rejection(
    connection: &mut PgConnection,
    flow: &FlowVersion,
    input: &StartInput,
    run_id: Option<String>,
    by_name: bool,
    error: DatabaseError,
) -> RunsError {
    match (error.failure(), run_id) {
        (Failure::Lost, _) => RunsError::StartUnconfirmed(error),
        (_, Some(id)) if error.is_unique_violation() => RunsError::RunExists(id),
        (Failure::Guard, _) if by_name && error.is_unknown_flow() => UnknownFlow::unseen(&flow.flow).into(),
        (Failure::Guard, _) if by_name => RunsError::NotCurrent { flow: flow.flow.clone(), versions: Vec::new() },
        _ if error.is_raised_exception() && !input.is_array() && maps_input(connection, flow).await => {
            let reasons = vec!["a map step maps the run's input, so it must be an array".to_owned()];
            RunsError::InputRefused { flow: flow.id(), reasons }
        }
        _ => RunsError::Database(error),
    }
}

/// Whether a step maps the input of the run. Assumed if the role may not read the steps.
async fn maps_input(connection: &mut PgConnection, flow: &FlowVersion) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        maps_input: bool,
    }
    let context = context! { slug => flow.slug.as_str() };
    match query::read::<Answer>(connection, "maps_input.sql", context).await {
        Ok(answers) => answers.first().is_some_and(|answer| answer.maps_input),
        Err(RunsError::Database(error)) => error.failure() == Failure::Permission,
        Err(_) => false,
    }
}
