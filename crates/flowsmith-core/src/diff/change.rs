//! Changes of flows, and their classes.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::FlowDelta;
use crate::catalog::{Catalog, Flow, FlowId, State};

/// How a change is applied. The classes are ordered from harmless to dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The change is only recorded in the ledger.
    Record,
    /// The change does not affect existing runs.
    Safe,
    /// The change updates options online.
    Tune,
    /// The flow has no current version any more. Its definition is kept until its runs have finished.
    Retire,
    /// Steps are deleted and created again. The migration refuses this if the flow has any runs.
    Replace,
    /// The flow and its data are deleted, on request only. The migration refuses this while a run is started.
    Drop,
}

impl Class {
    /// The name used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Safe => "safe",
            Self::Tune => "tune",
            Self::Retire => "retire",
            Self::Replace => "replace",
            Self::Drop => "drop",
        }
    }
}

/// The change of one flow version.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The flow version is created.
    Create(Arc<Flow>),
    /// The flow version is altered.
    Alter(Box<Alteration>),
    /// The flow version is deleted.
    Drop(Arc<Flow>),
}

/// The alteration of a flow version.
#[derive(Debug, Clone, PartialEq)]
pub struct Alteration {
    /// The flow before the change.
    pub from: Arc<Flow>,
    /// The flow after the change.
    pub to: Arc<Flow>,
    /// All differences; never empty.
    pub deltas: Vec<FlowDelta>,
}

impl Alteration {
    /// The most dangerous class of the differences.
    pub fn class(&self) -> Class {
        self.deltas.iter().map(FlowDelta::class).max().unwrap_or(Class::Record)
    }
}

impl Change {
    /// The flow's identity after the change.
    pub fn id(&self) -> &FlowId {
        match self {
            Self::Create(flow) | Self::Drop(flow) => &flow.id,
            Self::Alter(alteration) => &alteration.to.id,
        }
    }

    /// The flow after the change; `None` if it is deleted.
    pub fn result(&self) -> Option<&Arc<Flow>> {
        match self {
            Self::Create(flow) => Some(flow),
            Self::Alter(alteration) => Some(&alteration.to),
            Self::Drop(_) => None,
        }
    }

    /// The flow's slug in the database.
    pub fn database_slug(&self) -> String {
        self.id().database_slug()
    }

    /// The class of the change.
    pub fn class(&self) -> Class {
        match self {
            Self::Create(_) => Class::Safe,
            Self::Alter(alteration) => alteration.class(),
            Self::Drop(_) => Class::Drop,
        }
    }
}

/// The changes that turn one catalog into another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangeSet {
    /// One change per flow version, sorted by database slug.
    pub changes: Vec<Change>,
}

impl ChangeSet {
    /// Adds the recreation of the queues of these flows, given by database slug; `kept` contains the flows that remain.
    pub fn make_queues(&mut self, kept: &Catalog, without_queue: &BTreeSet<String>) {
        for flow in without_queue.iter().filter_map(|slug| kept.get(slug)) {
            self.add(flow, FlowDelta::Queue);
        }
    }

    /// Adds the recreation of the triggers of these flows, given by slug; `kept` contains the flow versions that remain.
    pub fn make_triggers(&mut self, kept: &Catalog, flows: &BTreeSet<String>) {
        for slug in flows {
            // A flow without a current version may still have triggers to remove.
            let newest = |flow: &&Arc<Flow>| (flow.state == State::Current, flow.id.version);
            let versions = kept.iter().map(|(_, flow)| flow).filter(|flow| flow.id.slug == *slug);
            if let Some(flow) = versions.max_by_key(newest) {
                self.add(flow, FlowDelta::Triggers);
            }
        }
    }

    /// Adds a difference to a flow that remains. Nothing is added to a new flow, whose creation includes its queue and triggers.
    fn add(&mut self, flow: &Arc<Flow>, delta: FlowDelta) {
        let slug = flow.id.database_slug();
        match self.changes.binary_search_by_key(&slug, Change::database_slug) {
            Ok(place) => {
                if let Change::Alter(alteration) = &mut self.changes[place] {
                    alteration.deltas.push(delta);
                }
            }
            Err(place) => {
                let alteration = Alteration { from: flow.clone(), to: flow.clone(), deltas: vec![delta] };
                self.changes.insert(place, Change::Alter(Box::new(alteration)));
            }
        }
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Applies the changes to a catalog. Alterations use only their deltas and not their `to`, so that the law "applying
    /// `diff(a, b)` to `a` gives `b`" tests the deltas.
    pub fn apply(&self, from: &Catalog) -> Catalog {
        let mut result = from.clone();
        for change in &self.changes {
            match change {
                Change::Create(flow) => {
                    result.insert(flow.clone());
                }
                Change::Drop(flow) => {
                    result.remove(&flow.id.database_slug());
                }
                Change::Alter(alteration) => {
                    if let Some(flow) = result.get_mut(&alteration.from.id.database_slug()) {
                        alteration.deltas.iter().for_each(|delta| delta.apply(flow));
                    }
                }
            }
        }
        result
    }
}
