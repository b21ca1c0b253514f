//! What flows must be to each other: each of its own name, in the files and in the database.

use std::collections::HashMap;
use std::path::Path;

use crate::catalog::FlowId;
use crate::finding::FieldPath;
use crate::finding::{Code, Finding};
use crate::words;

/// A flow of the project, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(in crate::check) struct Named<'a> {
    pub(in crate::check) id: &'a FlowId,
    pub(in crate::check) file: &'a Path,
    pub(in crate::check) document: usize,
    /// The queues of pgmq that its triggers name, with the triggers' places.
    pub(in crate::check) queues: &'a [(usize, String)],
}

/// Compares names of flows, given in the order of files and documents: the later of two is the one that is wrong.
pub(in crate::check) fn check<'a>(flows: impl Iterator<Item = Named<'a>>) -> Vec<Finding> {
    let mut takers = Vec::new();
    let mut first_of: HashMap<String, Named<'a>> = HashMap::new();
    let mut findings = Vec::new();
    for flow in flows {
        takers.extend((!flow.queues.is_empty()).then_some(flow));
        let in_database = flow.id.database_slug();
        // The database folds the case of a queue's name, so that one letter's case makes no difference there.
        match first_of.entry(in_database.to_ascii_lowercase()) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(flow);
            }
            std::collections::hash_map::Entry::Occupied(entry) => {
                findings.push(collision(flow, *entry.get(), &in_database))
            }
        }
    }
    for flow in takers {
        for (trigger, queue) in flow.queues {
            findings
                .extend(first_of.get(&queue.to_ascii_lowercase()).map(|owner| eater(flow, *owner, *trigger, queue)));
        }
    }
    findings
}

/// A trigger that would take the tasks of another flow from its workers.
fn eater(flow: Named<'_>, owner: Named<'_>, trigger: usize, queue: &str) -> Finding {
    let path = FieldPath::root().key("triggers").index(trigger).key("queue");
    let message = format!("`{queue}` is the queue of {}, whose messages are its tasks", owner.id);
    let mut finding = Finding::new(Code::InvalidQueue, path, message)
        .label("would take them from its workers")
        .help("name a queue that is no flow's, such as `pgmq:order_imports`")
        .related_in(owner.file, owner.document, FieldPath::root().key("flow"), "this flow");
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
        .label("again here")
        .help(format!("rename one of them, or, where this one is to replace the other, write `version: {next}`"))
    } else if first.id.database_slug() == in_database {
        let message = format!(
            "version {version} of `{slug}` and version {} of `{}` are both `{in_database}` in the database",
            first.id.version, first.id.slug
        );
        Finding::new(Code::VersionCollision, FieldPath::root().key("flow"), message)
            .label(format!("becomes `{in_database}`"))
            .help("rename one of the flows: a name that ends like a version, such as `_v2`, is asking for this")
    } else {
        let message =
            format!("the flows `{slug}` and `{}` differ only in case, and their queues would be one", first.id.slug);
        Finding::new(Code::CaseCollision, FieldPath::root().key("flow"), message)
            .label("the database folds the case of queues")
            .help("rename one of them; lower case with underscores avoids this")
    };
    let mut finding = finding.related_in(first.file, first.document, FieldPath::root().key("flow"), "first here");
    flow.file.clone_into(&mut finding.file);
    finding.document = flow.document;
    finding
}

/// An environment asked for that no flow knows is a typing mistake, and would silently give the flows as they are.
pub(in crate::check) fn unknown_environment(wanted: &str, known: &[&str], file: &Path) -> Finding {
    let help = if known.is_empty() {
        "write its overrides under `environments:` in a flow file, or leave the environment out".to_owned()
    } else {
        words::suggest(wanted, known.iter().copied())
    };
    Finding::of_file(Code::UnknownEnvironment, file, format!("no flow has an environment `{wanted}`")).help(help)
}
