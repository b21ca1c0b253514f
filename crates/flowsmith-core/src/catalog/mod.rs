//! The catalog: flows by database slug.
//!
//! The flow files, the migrations and the database each give a [`Catalog`]. All are normalised in the same way, so that
//! [`crate::diff`] can compare any two of them.

mod canonical;
mod flow;
mod ignore;
mod trigger;
mod unknown_flow;

pub(crate) use canonical::Definition;
pub use canonical::{canonical_json, digest, sha256_hex};
pub use flow::{Annotations, FailureMode, Flow, FlowId, FlowOptions, State, Step, StepKind};

pub use ignore::Ignore;
pub(crate) use trigger::identifiers;
pub use trigger::{Input, QueueKind, TableEvent, TableName, TableTrigger, Trigger, TriggerSource};
pub use unknown_flow::UnknownFlow;

use std::collections::BTreeMap;
use std::sync::Arc;

/// Flows by database slug (`order`, `order_v2`). The key is the database slug because two pairs of slug and version can have the
/// same one.
///
/// Catalogs and changes share flows instead of copying them, which matters for comparisons of ten thousand flows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    flows: BTreeMap<String, Arc<Flow>>,
}

impl Catalog {
    /// Creates an empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a flow and returns the previous flow with the same database slug, if any.
    pub fn insert(&mut self, flow: impl Into<Arc<Flow>>) -> Option<Arc<Flow>> {
        let flow = flow.into();
        self.flows.insert(flow.id.database_slug(), flow)
    }

    /// Removes and returns the flow with a database slug.
    pub fn remove(&mut self, database_slug: &str) -> Option<Arc<Flow>> {
        self.flows.remove(database_slug)
    }

    /// The flow with a database slug.
    pub fn get(&self, database_slug: &str) -> Option<&Arc<Flow>> {
        self.flows.get(database_slug)
    }

    /// The flow with a database slug, for changes. The caller must not change its database slug, which is its key.
    pub(crate) fn get_mut(&mut self, database_slug: &str) -> Option<&mut Flow> {
        self.flows.get_mut(database_slug).map(Arc::make_mut)
    }

    /// The flows, sorted by database slug.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Flow>)> {
        self.flows.iter().map(|(slug, flow)| (slug.as_str(), flow))
    }

    /// The number of flow versions.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether the catalog has no flows.
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
