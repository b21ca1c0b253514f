//! The catalog: flows by database slug, the one type that stands on every side of a comparison.
//!
//! What the files want, what the migrations recorded and what the database holds are all a [`Catalog`], normalised the
//! same way, so that [`crate::diff`] compares like with like.

mod canonical;
mod flow;
mod ignore;
mod trigger;
mod unknown_flow;

pub use canonical::{canonical_json, digest, sha256_hex};
pub use flow::{Annotations, FailureMode, Flow, FlowId, FlowOptions, State, Step, StepKind};

pub use ignore::Ignore;
pub(crate) use trigger::identifiers;
pub use trigger::{Input, QueueKind, TableEvent, TableName, TableTrigger, Trigger, TriggerSource};
pub use unknown_flow::UnknownFlow;

use std::collections::BTreeMap;
use std::sync::Arc;

/// Flows keyed by the slug they have in the database (`order`, `order_v2`), which is unique where (slug, version) might not be.
///
/// Flows are shared, not copied, between catalogs and the changes between them: a comparison of ten thousand flows would
/// otherwise spend its time on copies.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    flows: BTreeMap<String, Arc<Flow>>,
}

impl Catalog {
    /// An empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a flow; returns the one that stood under the same database slug before, if any.
    pub fn insert(&mut self, flow: impl Into<Arc<Flow>>) -> Option<Arc<Flow>> {
        let flow = flow.into();
        self.flows.insert(flow.id.database_slug(), flow)
    }

    /// Takes a flow out by its database slug.
    pub fn remove(&mut self, database_slug: &str) -> Option<Arc<Flow>> {
        self.flows.remove(database_slug)
    }

    /// The flow under a database slug.
    pub fn get(&self, database_slug: &str) -> Option<&Arc<Flow>> {
        self.flows.get(database_slug)
    }

    /// The flow under a database slug, to change. Its `id` must stay what it is: the catalog is keyed by it.
    pub(crate) fn get_mut(&mut self, database_slug: &str) -> Option<&mut Flow> {
        self.flows.get_mut(database_slug).map(Arc::make_mut)
    }

    /// Flows in the order of their database slugs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Flow>)> {
        self.flows.iter().map(|(slug, flow)| (slug.as_str(), flow))
    }

    /// How many flow versions it holds.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }
}

impl<F: Into<Arc<Flow>>> FromIterator<F> for Catalog {
    fn from_iter<T: IntoIterator<Item = F>>(flows: T) -> Self {
        let mut catalog = Self::new();
        for flow in flows {
            catalog.insert(flow);
        }
        catalog
    }
}
