//! The selection of flows that a service works on.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::event::ServiceEvent;
use super::options::ServiceOptions;
use crate::error::WorkerError;
use flowsmith_core::catalog::UnknownFlow;
use flowsmith_core::catalog::{Catalog, Flow};
use flowsmith_core::check::Checked;
use flowsmith_core::diagnostic::Code;

/// Whether all of the named flows are in flow files without errors, so that a service can ignore the errors of other files.
/// Without names, a service requires all files to be valid.
pub fn requests_only_valid_flows(checked: &Checked, names: &[String]) -> bool {
    let mut errors = checked.findings.iter().filter(|finding| finding.is_error());
    let is_valid = |name: &String| checked.catalog.iter().any(|(slug, flow)| is_named(name, slug, flow));
    // An unknown environment concerns all files.
    !names.is_empty() && errors.all(|finding| finding.code != Code::UnknownEnvironment) && names.iter().all(is_valid)
}

fn is_named(name: &str, slug: &str, flow: &Flow) -> bool {
    slug == name || flow.id.slug == name || flow.id.to_string() == name
}

/// The named flows, or all flows that declare handlers. A service that runs triggers needs none.
pub(super) fn select(
    catalog: &Catalog,
    options: &ServiceOptions,
    observer: &(dyn Fn(&ServiceEvent<'_>) + Send + Sync),
) -> Result<Vec<Arc<Flow>>, WorkerError> {
    if !options.flows.is_empty() {
        return select_named(catalog, &options.flows);
    }
    let flows = catalog.iter().map(|(_, flow)| flow);
    let (with_handlers, without): (Vec<_>, Vec<_>) =
        flows.cloned().partition(|flow| !flow.annotations.handlers.is_empty());
    if with_handlers.is_empty() && !options.triggers {
        return Err(WorkerError::Nothing { reason: "no flow file declares a handler".to_owned() });
    }
    for flow in without {
        observer(&ServiceEvent::FlowSkipped(&flow.id));
    }
    Ok(with_handlers)
}

fn select_named(catalog: &Catalog, names: &[String]) -> Result<Vec<Arc<Flow>>, WorkerError> {
    let mut selected = Vec::new();
    let mut seen = BTreeSet::new();
    for name in names {
        let found: Vec<_> = catalog.iter().filter(|(slug, flow)| is_named(name, slug, flow)).collect();
        if found.is_empty() {
            let known = catalog.iter().map(|(_, flow)| (flow.id.slug.as_str(), flow.id.version));
            return Err(UnknownFlow::new(name, "the flow files", known).into());
        }
        let new = found.into_iter().filter(|(slug, _)| seen.insert((*slug).to_owned()));
        selected.extend(new.map(|(_, flow)| Arc::clone(flow)));
    }
    Ok(selected)
}
