//! Selects the flow of a graph.

use flowsmith_core::diagnostic::{Code, Diagnostic, Kind};
use std::sync::Arc;

use flowsmith_core::catalog::UnknownFlow;
use flowsmith_core::catalog::{Catalog, Flow};
use flowsmith_postgres::runs::RunDetail;

/// An error in the selection of a flow.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// No flow has the name.
    #[error(transparent)]
    NoFlow(#[from] UnknownFlow),
    /// The run belongs to another flow than the named one.
    #[error("run {run} belongs to flow {of}, not to {named}")]
    OtherFlow {
        /// The id of the run.
        run: String,
        /// The flow of the run.
        of: String,
        /// The named flow.
        named: String,
    },
}

impl Diagnostic for GraphError {
    fn code(&self) -> Code {
        match self {
            Self::NoFlow(_) => Code::UnknownFlow,
            Self::OtherFlow { .. } => Code::RunOfOtherFlow,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoFlow(_) => Kind::Failed,
            Self::OtherFlow { .. } => Kind::Usage,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoFlow(unknown) => unknown.help(),
            Self::OtherFlow { .. } => "omit the flow, or correct the id of the run".to_owned(),
        })
    }
}

impl GraphError {
    /// Adds the address of the database to the error for an unknown flow.
    #[must_use]
    pub fn in_database(self, database: &str) -> Self {
        match self {
            Self::NoFlow(unknown) => Self::NoFlow(unknown.in_database(database)),
            other @ Self::OtherFlow { .. } => other,
        }
    }
}

/// The flow with this name: `order` selects the highest version, `order@1` that version, `order_v2` the slug in the database.
///
/// # Errors
/// If there is none; the message names the searched `place`.
pub fn choose<'a>(catalog: &'a Catalog, name: &str, place: &'static str) -> Result<&'a Arc<Flow>, GraphError> {
    let flows = || catalog.iter().map(|(_, flow)| flow);
    let highest = flows().filter(|flow| flow.id.slug == name).max_by_key(|flow| flow.id.version);
    let exact = || flows().find(|flow| flow.id.to_string() == name);
    if let Some(flow) = highest.or_else(|| catalog.get(name)).or_else(exact) {
        return Ok(flow);
    }
    Err(UnknownFlow::new(name, place, flows().map(|flow| (flow.id.slug.as_str(), flow.id.version))).into())
}

/// The flow of a run; `named` is the flow that was requested together with the run, if any.
///
/// # Errors
/// If the run belongs to another flow than the named one.
pub fn choose_of_run<'a>(
    catalog: &'a Catalog,
    run: &RunDetail,
    named: Option<&str>,
) -> Result<&'a Arc<Flow>, GraphError> {
    let flow = choose(catalog, &run.slug, UnknownFlow::DATABASE)?;
    let Some(named) = named else { return Ok(flow) };
    // A slug without a version stands for the version of the run.
    if flow.id.slug == named || choose(catalog, named, UnknownFlow::DATABASE)?.id == flow.id {
        return Ok(flow);
    }
    Err(GraphError::OtherFlow { run: run.run_id.clone(), of: flow.id.to_string(), named: named.to_owned() })
}
