//! Which flow is meant.

use std::sync::Arc;

use crate::catalog::{Catalog, Flow};
use crate::definition::words::nearest;
use crate::live::{RunId, RunStates};

/// Flows that an error names.
const NAMED_FLOWS: usize = 8;

/// Why there is no picture: what was asked for is not there.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// No flow has the name.
    #[error("there is no flow `{name}` in {place}")]
    UnknownFlow {
        /// As it was given.
        name: String,
        /// Where it was looked for.
        place: &'static str,
        /// The one that may be meant.
        closest: Option<String>,
        /// Some of those there are.
        known: Vec<String>,
    },
    /// No run has the id.
    #[error("there is no run {0} in the database")]
    UnknownRun(RunId),
    /// The run and the flow do not go together.
    #[error("the run {run} is one of the flow {of}, not of {named}")]
    OtherFlow {
        /// The run.
        run: RunId,
        /// Its flow.
        of: String,
        /// The flow that was named.
        named: String,
    },
}

impl GraphError {
    /// The stable code, with a page in the documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownFlow { .. } => "FS991",
            Self::UnknownRun(_) => "FS992",
            Self::OtherFlow { .. } => "FS993",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::UnknownFlow { closest: Some(closest), .. } => format!("did you mean `{closest}`?"),
            Self::UnknownFlow { known, .. } if known.is_empty() => "there is none at all".to_owned(),
            Self::UnknownFlow { known, .. } => format!("there is {}", known.join(", ")),
            Self::UnknownRun(_) => "check the id and the database; pruned runs are gone".to_owned(),
            Self::OtherFlow { .. } => "leave the flow out: a run knows its own".to_owned(),
        }
    }
}

/// The flow by that name: `order` for its highest version, `order@1` for that one, `order_v2` as in the database.
///
/// # Errors
/// Where there is none; `place` says where it was looked for.
pub fn choose<'a>(catalog: &'a Catalog, name: &str, place: &'static str) -> Result<&'a Arc<Flow>, GraphError> {
    let flows = || catalog.iter().map(|(_, flow)| flow);
    let highest = flows().filter(|flow| flow.id.slug == name).max_by_key(|flow| flow.id.version);
    let exact = || flows().find(|flow| flow.id.to_string() == name);
    if let Some(flow) = highest.or_else(|| catalog.get(name)).or_else(exact) {
        return Ok(flow);
    }
    let names: Vec<String> = flows().map(|flow| flow.id.to_string()).collect();
    let slugs = flows().map(|flow| flow.id.slug.as_str()).chain(names.iter().map(String::as_str));
    let closest = nearest(name, slugs).map(str::to_owned);
    let mut known: Vec<String> = names.iter().take(NAMED_FLOWS).cloned().collect();
    if let more @ 1.. = names.len().saturating_sub(NAMED_FLOWS) {
        known.push(format!("and {more} more"));
    }
    Err(GraphError::UnknownFlow { name: name.to_owned(), place, closest, known })
}

/// The flow of a run; `named` is the flow that was asked for with it, if one was.
///
/// # Errors
/// Where it is another one.
pub fn choose_of_run<'a>(
    catalog: &'a Catalog,
    run: &RunStates,
    named: Option<&str>,
) -> Result<&'a Arc<Flow>, GraphError> {
    const PLACE: &str = "the database";
    let flow = choose(catalog, &run.database_slug, PLACE)?;
    let Some(named) = named else { return Ok(flow) };
    // The plain slug stands for whichever version the run is of.
    if flow.id.slug == named || choose(catalog, named, PLACE)?.id == flow.id {
        return Ok(flow);
    }
    Err(GraphError::OtherFlow { run: run.run_id.clone(), of: flow.id.to_string(), named: named.to_owned() })
}
