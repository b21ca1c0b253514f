//! Descriptions of steps, which only flow files contain: migrations and the database do not store them.

use std::collections::BTreeMap;

use super::Graph;
use flowsmith_core::check::Origin;
use flowsmith_core::definition::{decode, environment};
use flowsmith_core::finding::Findings;
use flowsmith_core::source::{Sources, parse};

/// The descriptions in a flow file by step, with the overrides of `environment`. Empty if the file no longer exists.
pub fn step_descriptions(sources: &Sources, origin: &Origin, environment: Option<&str>) -> BTreeMap<String, String> {
    // The check of the file has already reported its findings.
    let mut findings = Findings::default();
    let Ok(text) = sources.read(&origin.file) else { return BTreeMap::new() };
    let documents = parse(&text, &origin.file, &mut findings);
    let Some(node) = documents.get(origin.document) else { return BTreeMap::new() };
    let Some(mut file) = decode(node, &mut findings) else { return BTreeMap::new() };
    if let Some(name) = environment.filter(|name| file.environments.iter().any(|known| known == name))
        && let Some(overridden) = decode(&environment::merged(node, name), &mut findings)
    {
        file = overridden;
    }
    file.steps.into_iter().filter_map(|step| Some((step.slug, step.description?))).collect()
}

impl Graph {
    /// Adds descriptions to the steps.
    pub fn describe(&mut self, descriptions: &BTreeMap<String, String>) {
        for node in &mut self.nodes {
            node.description = descriptions.get(&node.slug).cloned();
        }
    }
}
