//! One file from its text to its flows.

use std::path::{Path, PathBuf};

use super::rules::project::Named;
use super::{CheckSettings, lower, rules};
use crate::catalog::{Flow, FlowId};
use crate::definition::{FlowFile, decode, environment};
use crate::finding::FieldPath;
use crate::finding::{Code, Finding, Findings};
use crate::source::{Node, Sources, parse};

/// Each is a whole flow to be checked; nobody has so many, and a hostile file could have a million.
const MAX_ENVIRONMENTS: usize = 32;

/// What one file gives. The text and its tree are gone by now: ten thousand of them would fill memory.
#[derive(Debug, Default)]
pub(super) struct FileResult {
    pub(super) file: PathBuf,
    pub(super) flows: Vec<FileFlow>,
    pub(super) findings: Vec<Finding>,
    /// Names of all environments that its flows know.
    pub(super) environments: Vec<String>,
}

/// One document.
#[derive(Debug)]
pub(super) struct FileFlow {
    pub(super) document: usize,
    /// What names it, where it is named at all, so that others of the same name are seen even where this one is wrong.
    pub(super) id: Option<FlowId>,
    /// Its catalog form, where it has no errors.
    pub(super) lowered: Option<Flow>,
    /// The queues of pgmq that its triggers name, with the triggers' places.
    pub(super) queues: Vec<(usize, String)>,
}

impl FileResult {
    /// The flows that have a name.
    pub(super) fn names(&self) -> impl Iterator<Item = Named<'_>> {
        let named = |flow: &'_ FileFlow| flow.id.is_some();
        self.flows.iter().filter(move |flow| named(flow)).filter_map(|flow| {
            Some(Named { id: flow.id.as_ref()?, file: &self.file, document: flow.document, queues: &flow.queues })
        })
    }
}

/// Reads a file and holds each of its flows against the rules, as it stands and in each environment that it declares.
pub(super) fn check(sources: &Sources, name: &Path, settings: &CheckSettings) -> FileResult {
    let text = match sources.read(name) {
        Ok(text) => text,
        Err(finding) => return FileResult { file: name.to_owned(), findings: vec![*finding], ..FileResult::default() },
    };
    let mut findings = Findings::default();
    let documents = parse(&text, name, &mut findings);
    // Syntax that could not be read may be part of any document.
    let is_readable = findings.is_empty();
    let mut result = FileResult { file: name.to_owned(), ..FileResult::default() };
    for (document, node) in documents.iter().enumerate() {
        let flow = document_flow(document, node, settings, &mut findings, &mut result.environments);
        result.flows.extend(flow.map(|flow| FileFlow { lowered: flow.lowered.filter(|_| is_readable), ..flow }));
    }
    result.findings = findings.finish(name);
    result
}

fn document_flow(
    document: usize,
    node: &Node,
    settings: &CheckSettings,
    findings: &mut Findings,
    environments: &mut Vec<String>,
) -> Option<FileFlow> {
    let base = findings.len();
    let (file, order) = decode_and_check(node, settings, findings)?;
    findings.stamp(base, document, None);
    let mut chosen = (file, order);
    let names = std::mem::take(&mut chosen.0.environments);
    if names.len() > MAX_ENVIRONMENTS {
        findings.push(too_many_environments(names.len()));
    }
    for name in names.into_iter().take(MAX_ENVIRONMENTS) {
        let from = findings.len();
        let overridden = decode_and_check(&environment::merged(node, &name), settings, findings);
        findings.stamp(from, document, Some(&name));
        findings.drop_repeated(base, from);
        if settings.environment.as_deref() == Some(name.as_str())
            && let Some(overridden) = overridden
        {
            chosen = overridden;
        }
        environments.push(name);
    }
    let (file, order) = chosen;
    let id = file.flow.clone().zip(file.version).map(|(slug, version)| FlowId { slug, version });
    let is_clean = !findings.is_full() && !findings.since(base).iter().any(Finding::is_error);
    let queues = rules::pgmq_queues(&file);
    let lowered = match (&id, order) {
        (Some(id), Some(order)) if is_clean => Some(lower::lower(file, id.clone(), &order)),
        _ => None,
    };
    Some(FileFlow { document, id, lowered, queues })
}

fn too_many_environments(number: usize) -> Finding {
    let path = FieldPath::root().key("environments").itself();
    let message = format!("the flow has {number} environments, more than the {MAX_ENVIRONMENTS} allowed");
    let finding = Finding::new(Code::TooManyEnvironments, path, message).label("each is checked as a flow of its own");
    finding.help("keep what differs between places of one kind in the database, not in the definition")
}

fn decode_and_check(
    node: &Node,
    settings: &CheckSettings,
    findings: &mut Findings,
) -> Option<(FlowFile, Option<Vec<usize>>)> {
    let file = decode(node, findings)?;
    let order = rules::check(&file, settings, findings);
    Some((file, order))
}
