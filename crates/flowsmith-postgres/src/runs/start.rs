//! Starting a run.

use minijinja::context;
use sqlx::postgres::PgConnection;

use super::{Engine, FlowVersion, OperateError, RunPrefix, RunSummary, StartInput, query};
use flowsmith_core::diagnostic::Diagnostic as _;

use crate::database::Failure;
use flowsmith_core::catalog::UnknownFlow;

/// Starts a run of this version and returns it as it is then; it may be over already.
///
/// # Errors
/// Where the id is taken, the engine refuses the input, or the database fails.
pub async fn start_run(
    connection: &mut PgConnection,
    engine: Engine,
    flow: &FlowVersion,
    input: &StartInput,
    run_id: Option<&RunPrefix>,
) -> Result<RunSummary, OperateError> {
    let run_id = run_id.and_then(RunPrefix::whole);
    // The door that starters are given, where it leads there.
    let by_name = engine.has_ledger && flow.state == flowsmith_core::catalog::State::Current;
    let context = context! {
        engine => engine.context(),
        what => "start",
        by_name,
        flow => flow.flow.as_str(),
        slug => flow.slug.as_str(),
        input => input.text.as_str(),
        run_id => run_id.as_deref(),
    };
    let started: Result<Vec<RunSummary>, _> =
        query::write_after(connection, &[include_str!("call.sql")], include_str!("called.sql"), &context).await;
    match started {
        Ok(mut runs) => {
            let mut run = runs.pop().ok_or_else(|| unanswered("start_flow"))?;
            if run.slug == flow.slug {
                run.flow.clone_from(&flow.flow);
                run.version = flow.version;
            }
            Ok(run)
        }
        Err(OperateError::Database(error)) => Err(match (error.failure(), run_id) {
            (Failure::Lost, _) => OperateError::StartUnknown(error),
            (_, Some(id)) if error.is_unique_violation() => OperateError::RunTaken(id),
            // `flowsmith.start_flow` refuses nothing else, and says whether there ever was a version.
            (Failure::Guard, _) if by_name => match error.help().unwrap_or_default().as_str() {
                "It is retired." => OperateError::NotCurrent { flow: flow.flow.clone(), versions: Vec::new() },
                _ => UnknownFlow::unseen(&flow.flow).into(),
            },
            // The one thing that the engine itself says about inputs.
            _ if error.to_string().contains("has root map steps but input is") => OperateError::InputRefused {
                flow: flow.id(),
                reasons: vec!["a step maps the run's input, which must be an array then".to_owned()],
            },
            _ => OperateError::Database(error),
        }),
        Err(error) => Err(error),
    }
}

pub(super) fn unanswered(function: &str) -> OperateError {
    let message = format!("{function} returned no row");
    OperateError::Answer(serde::de::Error::custom(message))
}
