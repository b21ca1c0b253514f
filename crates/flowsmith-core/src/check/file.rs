//! The check of one file.

use std::path::{Path, PathBuf};

use super::rules::project::Named;
use super::{CheckSettings, lower, rules};
use crate::catalog::{Flow, FlowId};
use crate::definition::{FlowFile, decode, environment};
use crate::finding::FieldPath;
use crate::finding::{Code, Finding, Findings};
use crate::source::{Node, Sources, parse};

/// The limit on environments per flow. Each is checked as a separate flow, and a hostile file could declare a million.
const MAX_ENVIRONMENTS: usize = 32;

/// The result of checking one file. It does not keep the text or its tree, which would fill memory for ten thousand files.
#[derive(Debug, Default)]
pub(super) struct FileResult {
    pub(super) file: PathBuf,
    pub(super) flows: Vec<FileFlow>,
    pub(super) findings: Vec<Finding>,
    /// The names of all environments that its flows declare.
    pub(super) environments: Vec<String>,
}

/// The result of checking one document.
#[derive(Debug)]
pub(super) struct FileFlow {
    pub(super) document: usize,
    /// The identity, if it is written. It is kept for flows with errors too, so that duplicates of them are found.
    pub(super) id: Option<FlowId>,
    /// The flow for the catalog; `None` if it has errors.
    pub(super) lowered: Option<Flow>,
    /// The pgmq queues that its triggers name, each with the index of the trigger.
    pub(super) queues: Vec<(usize, String)>,
}

impl FileResult {
    /// The flows that have an identity.
    pub(super) fn names(&self) -> impl Iterator<Item = Named<'_>> {
        let named = |flow: &'_ FileFlow| flow.id.is_some();
        self.flows.iter().filter(move |flow| named(flow)).filter_map(|flow| {
            Some(Named { id: flow.id.as_ref()?, file: &self.file, document: flow.document, queues: &flow.queues })
        })
    }
}

/// Reads a file and checks each of its flows, as written and in each environment that it declares.
pub(super) fn check(sources: &Sources, name: &Path, settings: &CheckSettings) -> FileResult {
    let text = match sources.read(name) {
        Ok(text) => text,
        Err(finding) => return FileResult { file: name.to_owned(), findings: vec![*finding], ..FileResult::default() },
    };
    let mut findings = Findings::default();
    let documents = parse(&text, name, &mut findings);
    // The part that could not be parsed may belong to any of the documents.
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
    let message = format!("the flow has {number} environments, more than the limit of {MAX_ENVIRONMENTS}");
    let finding = Finding::new(Code::TooManyEnvironments, path, message).label("each is checked as a separate flow");
    finding.help("remove environments, and store settings of single customers or sites in the database")
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
