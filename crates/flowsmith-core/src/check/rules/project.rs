//! Rules across flows: names are unique in the files and in the database, and triggers read no other flow's queue.

use std::collections::HashMap;
use std::path::Path;

use crate::catalog::FlowId;
use crate::finding::FieldPath;
use crate::finding::{Code, Finding};
use crate::words;

/// A flow of the project and the place of its definition.
#[derive(Debug, Clone, Copy)]
pub(in crate::check) struct Named<'a> {
    pub(in crate::check) id: &'a FlowId,
    pub(in crate::check) file: &'a Path,
    pub(in crate::check) document: usize,
    /// The pgmq queues that its triggers name, each with the index of the trigger.
    pub(in crate::check) queues: &'a [(usize, String)],
}

/// Compares the names of flows, given in the order of files and documents. Of two colliding flows, the later one is reported.
pub(in crate::check) fn check<'a>(flows: impl Iterator<Item = Named<'a>>) -> Vec<Finding> {
    let mut consumers = Vec::new();
    let mut first_of: HashMap<String, Named<'a>> = HashMap::new();
    let mut findings = Vec::new();
    for flow in flows {
        consumers.extend((!flow.queues.is_empty()).then_some(flow));
        let in_database = flow.id.database_slug();
        // pgmq converts queue names to lower case.
        match first_of.entry(in_database.to_ascii_lowercase()) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(flow);
            }
            std::collections::hash_map::Entry::Occupied(entry) => {
                findings.push(collision(flow, *entry.get(), &in_database))
            }
        }
    }
    for flow in consumers {
        for (trigger, queue) in flow.queues {
            let owner = first_of.get(&queue.to_ascii_lowercase());
            findings.extend(owner.map(|owner| foreign_queue(flow, *owner, *trigger, queue)));
        }
    }
    findings
}

/// The finding for a trigger that would consume the tasks of another flow.
fn foreign_queue(flow: Named<'_>, owner: Named<'_>, trigger: usize, queue: &str) -> Finding {
    let path = FieldPath::root().key("triggers").index(trigger).key("queue");
    let message = format!("the queue `{queue}` belongs to the flow {} and contains its tasks", owner.id);
    let mut finding = Finding::new(Code::InvalidQueue, path, message)
        .label("would consume the tasks of that flow")
        .help("name a queue that does not belong to a flow, such as `pgmq:order_imports`")
        .related_in(owner.file, owner.document, FieldPath::root().key("flow"), "owner of the queue");
    flow.file.clone_into(&mut finding.file);
    finding.document = flow.document;
    finding
}

fn collision(flow: Named<'_>, first: Named<'_>, in_database: &str) -> Finding {
    let FlowId { slug, version } = flow.id;
    let finding = if flow.id == first.id {
        let next = version + 1;
        Finding::new(
            Code::DuplicateFlow,
            FieldPath::root().key("flow"),
            format!("version {version} of the flow `{slug}` is defined twice"),
        )
        .label("duplicate definition")
        .help(format!("rename one of the flows, or write `version: {next}` if this one replaces the other"))
    } else if first.id.database_slug() == in_database {
        let message = format!(
            "version {version} of `{slug}` and version {} of `{}` are both named `{in_database}` in the database",
            first.id.version, first.id.slug
        );
        Finding::new(Code::VersionCollision, FieldPath::root().key("flow"), message)
            .label(format!("named `{in_database}` in the database"))
            .help("rename one of the flows, and avoid names that end like a version, such as `_v2`")
    } else {
        let message = format!("the flows `{slug}` and `{}` differ only in case and would share a queue", first.id.slug);
        Finding::new(Code::CaseCollision, FieldPath::root().key("flow"), message)
            .label("queue names are not case-sensitive")
            .help("rename one of the flows")
    };
    let mut finding = finding.related_in(first.file, first.document, FieldPath::root().key("flow"), "first flow");
    flow.file.clone_into(&mut finding.file);
    finding.document = flow.document;
    finding
}

/// The finding for a requested environment that no flow declares: the flows would be used without any override.
pub(in crate::check) fn unknown_environment(name: &str, known: &[&str], file: &Path) -> Finding {
    let help = if known.is_empty() {
        "declare it under `environments` in a flow file, or do not select an environment".to_owned()
    } else {
        words::suggest(name, known.iter().copied())
    };
    Finding::of_file(Code::UnknownEnvironment, file, format!("no flow declares the environment `{name}`")).help(help)
}
