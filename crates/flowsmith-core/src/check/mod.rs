//! From flow files to the desired [`Catalog`]: everything that can be known to be wrong without a database, all at once.

pub mod expression;
mod file;
mod lower;
mod only;
pub mod order;
mod rules;

pub use only::check_files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::file::FileResult;
use self::rules::project;
use crate::catalog::{Catalog, State};
use crate::finding::{Code, Finding};
use crate::level::Level;
use crate::source::Sources;

/// What to check for.
#[derive(Debug, Clone, Default)]
pub struct CheckSettings {
    /// The engine aimed at; none = whatever has every feature.
    pub engine: Option<Level>,
    /// The environment whose overrides are merged into the catalog; none = the flows as they stand.
    pub environment: Option<String>,
    /// Whether the environment is known from elsewhere than the flow files, so that none of them need name it.
    pub environment_is_known: bool,
}

/// Where a flow of the catalog is defined.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file, from the project's root.
    pub file: PathBuf,
    /// Which of its documents, from 0.
    pub document: usize,
}

/// What a check gives.
#[derive(Debug, Default)]
pub struct Checked {
    /// The flows without errors.
    pub catalog: Catalog,
    /// By database slug: where each of them is defined.
    pub origins: BTreeMap<String, Origin>,
    /// Everything that is wrong, by file and document.
    pub findings: Vec<Finding>,
    /// How many files were looked at.
    pub files: usize,
    /// How many steps the catalog's flows have.
    pub steps: usize,
    /// How many triggers they have.
    pub triggers: usize,
    /// The environments that files looked at have overrides for.
    pub environments: BTreeSet<String>,
}

impl Checked {
    /// Whether anything is wrong enough to stop at.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }

    /// Whether the flow files are refused: for any error, and if `strict` for any warning too.
    pub fn is_refused(&self, strict: bool) -> bool {
        self.has_errors() || strict && !self.findings.is_empty()
    }
}

/// Checks every flow file of a project.
pub fn check(sources: &Sources, settings: &CheckSettings) -> Checked {
    let (files, mut findings) = sources.discover();
    if let (Sources::Folder { flows, .. }, true, true) = (sources, files.is_empty(), findings.is_empty()) {
        let message = "there is no flow file in this folder".to_owned();
        let help =
            "write one, such as `order.yaml` (`flowsmith init` brings an example), or name another folder with --flows";
        findings.push(Finding::of_file(Code::NoFlowFiles, flows, message).help(help));
    }
    let results: Vec<_> = files.par_iter().map(|name| file::check(sources, name, settings)).collect();
    findings.extend(project::check(results.iter().flat_map(FileResult::names)));
    if let Some(wanted) = &settings.environment {
        findings.extend(known_environment(wanted, &results, sources).filter(|_| !settings.environment_is_known));
    }
    collect(results, findings)
}

/// A finding, where no flow knows the environment asked for.
fn known_environment(wanted: &str, results: &[FileResult], sources: &Sources) -> Option<Finding> {
    let known: BTreeSet<_> = results.iter().flat_map(|result| result.environments.iter().map(String::as_str)).collect();
    if known.contains(wanted) || results.is_empty() {
        return None;
    }
    let folder = match sources {
        Sources::Folder { flows, .. } => flows.as_path(),
        Sources::Memory(_) => results.first().map_or(Path::new(""), |result| &result.file),
    };
    Some(project::unknown_environment(wanted, &known.into_iter().collect::<Vec<_>>(), folder))
}

/// Puts the results of files together; `findings` are those that are about more than one of them.
fn collect(results: Vec<FileResult>, mut findings: Vec<Finding>) -> Checked {
    let refused: BTreeSet<_> = findings
        .iter()
        .filter(|finding| finding.is_error())
        .map(|finding| (finding.file.clone(), finding.document))
        .collect();
    let mut checked = Checked { files: results.len(), ..Checked::default() };
    for result in results {
        checked.environments.extend(result.environments);
        findings.extend(result.findings);
        for flow in result.flows {
            let origin = Origin { file: result.file.clone(), document: flow.document };
            let Some(lowered) = flow.lowered else { continue };
            if refused.contains(&(origin.file.clone(), origin.document)) {
                continue;
            }
            let slug = lowered.id.database_slug();
            checked.steps += lowered.steps.len();
            checked.triggers += lowered.triggers.len();
            checked.origins.insert(slug, origin);
            checked.catalog.insert(lowered);
        }
    }
    drain_older_versions(&mut checked.catalog);
    findings.sort_by(|a, b| {
        (&a.file, a.document, &a.environment, a.code, &a.place, &a.message).cmp(&(
            &b.file,
            b.document,
            &b.environment,
            b.code,
            &b.place,
            &b.message,
        ))
    });
    checked.findings = findings;
    checked
}

/// The highest version of a flow is the one that starts; those below it finish what they have.
fn drain_older_versions(catalog: &mut Catalog) {
    let mut highest: BTreeMap<String, u32> = BTreeMap::new();
    for (_, flow) in catalog.iter().filter(|(_, flow)| flow.id.version > 1) {
        let version = highest.entry(flow.id.slug.clone()).or_default();
        *version = flow.id.version.max(*version);
    }
    let older: Vec<_> = catalog
        .iter()
        .filter(|(_, flow)| highest.get(&flow.id.slug).is_some_and(|highest| flow.id.version < *highest))
        .map(|(slug, _)| slug.to_owned())
        .collect();
    for slug in older {
        if let Some(flow) = catalog.get_mut(&slug) {
            flow.state = State::Draining;
        }
    }
}
