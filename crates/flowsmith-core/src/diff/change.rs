//! What happens to one flow, and how dangerous that is.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::FlowDelta;
use crate::catalog::{Catalog, Flow, FlowId, State};

/// How a change is applied, from harmless to dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Nothing changes in the engine: it is recorded.
    Record,
    /// Nothing that runs can notice.
    Safe,
    /// Options, changed online by an update.
    Tune,
    /// The alias goes, the definition stays until nothing runs.
    Retire,
    /// Steps are taken away and made anew; refused where the flow has any run.
    Replace,
    /// The flow and its data are deleted; only on request, refused while a run is started.
    Drop,
}

impl Class {
    /// The word for it in reports.
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

/// What happens to one flow version.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It is new.
    Create(Arc<Flow>),
    /// It is there and differs.
    Alter(Box<Alteration>),
    /// It is gone.
    Drop(Arc<Flow>),
}

/// A flow before and after, and each difference between the two.
#[derive(Debug, Clone, PartialEq)]
pub struct Alteration {
    /// As it is.
    pub from: Arc<Flow>,
    /// As it is to be.
    pub to: Arc<Flow>,
    /// Every difference; never empty.
    pub deltas: Vec<FlowDelta>,
}

impl Alteration {
    /// The most dangerous of its differences.
    pub fn class(&self) -> Class {
        self.deltas.iter().map(FlowDelta::class).max().unwrap_or(Class::Record)
    }
}

impl Change {
    /// The flow it is about, as it is named afterwards.
    pub fn id(&self) -> &FlowId {
        match self {
            Self::Create(flow) | Self::Drop(flow) => &flow.id,
            Self::Alter(alteration) => &alteration.to.id,
        }
    }

    /// The flow version after the change; `None` if it is dropped.
    pub fn after(&self) -> Option<&Arc<Flow>> {
        match self {
            Self::Create(flow) => Some(flow),
            Self::Alter(alteration) => Some(&alteration.to),
            Self::Drop(_) => None,
        }
    }

    /// The slug in the database.
    pub fn database_slug(&self) -> String {
        self.id().database_slug()
    }

    /// How it is applied.
    pub fn class(&self) -> Class {
        match self {
            Self::Create(_) => Class::Safe,
            Self::Alter(alteration) => alteration.class(),
            Self::Drop(_) => Class::Drop,
        }
    }
}

/// Everything that turns one catalog into another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangeSet {
    /// One entry a flow version, in the order of database slugs.
    pub changes: Vec<Change>,
}

impl ChangeSet {
    /// Adds that the queues of these flows are made anew, by database slug; `kept` are the flows that stay.
    pub fn make_queues(&mut self, kept: &Catalog, without_queue: &BTreeSet<String>) {
        for flow in without_queue.iter().filter_map(|slug| kept.get(slug)) {
            self.add(flow, FlowDelta::Queue);
        }
    }

    /// Adds that the triggers of these flows are made anew, by the flow's slug; `kept` are the flow versions that stay.
    pub fn make_triggers(&mut self, kept: &Catalog, flows: &BTreeSet<String>) {
        for slug in flows {
            // A flow without a current version has triggers to be rid of.
            let newest = |flow: &&Arc<Flow>| (flow.state == State::Current, flow.id.version);
            let versions = kept.iter().map(|(_, flow)| flow).filter(|flow| flow.id.slug == *slug);
            if let Some(flow) = versions.max_by_key(newest) {
                self.add(flow, FlowDelta::Triggers);
            }
        }
    }

    /// Adds a difference to what happens to a flow that stays; a new flow brings everything.
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

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The catalog that `from` becomes. Works from the differences alone, so that the law "applying `diff(a, b)` to `a`
    /// gives `b`" says something about them.
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
