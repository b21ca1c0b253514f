//! The digests of everything under a flow's name: its versions, their states and their triggers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::plan::PlannedFlow;
use crate::catalog::{Catalog, State, digest};
use crate::diff::Change;

/// The versions of some flows, with the state of each and the digest of its definition, which includes its triggers.
#[derive(Debug, Default)]
pub(super) struct States(BTreeMap<String, BTreeMap<u32, (State, String)>>);

impl States {
    /// The versions that a catalog has of the flows with these slugs.
    pub(super) fn of(catalog: &Catalog, slugs: &BTreeSet<&str>) -> Self {
        let mut states = Self::default();
        for (_, flow) in catalog.iter().filter(|(_, flow)| slugs.contains(flow.id.slug.as_str())) {
            let versions = states.0.entry(flow.id.slug.clone()).or_default();
            versions.insert(flow.id.version, (flow.state, flow.digest()));
        }
        states
    }

    /// The SHA-256 of one line per version of a flow: the version, its state and its digest. `None` if there is no version.
    pub(super) fn digest(&self, slug: &str) -> Option<String> {
        let versions = self.0.get(slug).filter(|versions| !versions.is_empty())?;
        let mut text = String::new();
        for (version, (state, digest)) in versions {
            let _ = writeln!(text, "{version} {} {digest}", state.as_str());
        }
        Some(digest(&text))
    }

    /// Applies a change; `digest` is the digest of the definition after it. The previous current version becomes draining if
    /// another version becomes current, as in the database.
    pub(super) fn apply(&mut self, change: &Change, digest: Option<&str>) {
        let id = change.id();
        let versions = self.0.entry(id.slug.clone()).or_default();
        let Some(flow) = change.result() else {
            versions.remove(&id.version);
            return;
        };
        if flow.state == State::Current {
            for (state, _) in versions.values_mut().filter(|(state, _)| *state == State::Current) {
                *state = State::Draining;
            }
        }
        versions.insert(id.version, (flow.state, digest.unwrap_or_default().to_owned()));
    }

    /// Sets the base of a flow in a plan, before its changes are applied.
    pub(super) fn base(&self, slug: &str) -> PlannedFlow<'static> {
        PlannedFlow { flow: slug.to_owned().into(), base: self.digest(slug), result: None, changes: Vec::new() }
    }
}
