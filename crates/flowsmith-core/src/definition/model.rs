//! A flow as its file says it: typed, but not yet known to make sense.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shape::MAX_FLOW_SLUG;
use crate::catalog::{FailureMode, QueueKind};

/// One document. What had the wrong shape is left out here and is a finding.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FlowFile {
    /// The flow's slug; none where it is missing or no text.
    pub flow: Option<String>,
    /// The version; none where what is written is none.
    pub version: Option<u32>,
    /// What the flow is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// JSON Schema of the run's input.
    pub input: Option<Value>,
    /// What its steps inherit.
    pub defaults: Options,
    /// Steps in the order of the file.
    pub steps: Vec<StepDefinition>,
    /// Triggers in the order of the file.
    pub triggers: Vec<Trigger>,
    /// Names of the environments that override something.
    pub environments: Vec<String>,
}

/// Options where they are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// How often a task is tried.
    pub max_attempts: Option<i32>,
    /// Seconds before the first retry.
    pub base_delay: Option<i32>,
    /// Seconds that a task may take.
    pub timeout: Option<i32>,
}

/// A word of a list, with its place in the list as written: words of the wrong type are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place in the list, from 0.
    pub index: usize,
    /// The word.
    pub text: String,
}

/// What a worker of ours runs for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handler {
    /// A query.
    Sql(String),
    /// A line for the shell.
    Shell(String),
    /// A program and its arguments.
    Exec(Vec<String>),
    /// A request.
    Http(Request),
}

/// What an `http` handler sends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The address.
    pub url: String,
    /// The method; none = POST.
    pub method: Option<String>,
    /// Headers by name.
    pub headers: BTreeMap<String, String>,
}

/// One step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepDefinition {
    /// Its name.
    pub slug: String,
    /// What it is for.
    pub description: Option<String>,
    /// What a worker of ours runs.
    pub handler: Option<Handler>,
    /// What it waits for, as listed.
    pub depends_on: Vec<Item>,
    /// The step whose output it maps, or `run`.
    pub map: Option<String>,
    /// Pattern that must be contained.
    pub condition: Option<Value>,
    /// Pattern that must not be contained.
    pub exclusion: Option<Value>,
    /// Where a pattern is unmet; none = skip.
    pub when_unmet: Option<FailureMode>,
    /// Where the attempts are used up; none = fail.
    pub when_exhausted: Option<FailureMode>,
    /// Attempts, delay and timeout.
    pub options: Options,
    /// Seconds between ready and visible.
    pub start_delay: Option<i32>,
    /// JSON Schema of its output.
    pub output: Option<Value>,
}

/// The name under which `map` means the run's input.
pub const RUN: &str = "run";

impl StepDefinition {
    /// Whether it maps the run's input.
    pub fn is_root_map(&self) -> bool {
        self.map.as_deref() == Some(RUN)
    }

    /// The step whose output it maps, if it maps one.
    pub fn source(&self) -> Option<&str> {
        self.map.as_deref().filter(|source| *source != RUN)
    }

    /// Everything it waits for: its dependencies, and the source of a map where that is not among them.
    pub fn dependencies(&self) -> impl Iterator<Item = &str> {
        let listed = self.depends_on.iter().map(|item| item.text.as_str());
        let source = self.source().filter(|source| self.depends_on.iter().all(|item| item.text != *source));
        listed.chain(source)
    }
}

/// What starts runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Its place in the list, from 0.
    pub index: usize,
    /// Its name; none where it is missing or no text.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it listens to; none where that is not said exactly once.
    pub source: Option<TriggerSource>,
    /// The run's input.
    pub input: Option<Value>,
    /// SQL expression for the run's input.
    pub input_sql: Option<String>,
    /// Whether a run that cannot be started is an error of the change.
    pub strict: bool,
    /// Which of the keys that not every kind of trigger takes are written.
    pub written: Vec<String>,
}

/// What a trigger listens to.
#[derive(Debug, Clone, PartialEq)]
pub enum TriggerSource {
    /// A schedule.
    Cron(String),
    /// Changes of a table.
    Table {
        /// Its name with its schema.
        table: String,
        /// `insert`, `update`, `delete`, as listed.
        on: Vec<Item>,
        /// SQL condition on the change.
        when: Option<String>,
    },
    /// Events of a queue.
    Queue(String),
}

/// Reads `pgq:<name>` or `pgmq:<name>`.
///
/// # Errors
/// In words, where it is neither, or the name is none that such a queue has.
pub fn queue(text: &str) -> Result<(QueueKind, &str), String> {
    let (kind, name) = match text.split_once(':') {
        Some(("pgq", name)) => (QueueKind::Pgq, name),
        Some(("pgmq", name)) => (QueueKind::Pgmq, name),
        Some((kind, _)) => return Err(format!("`{kind}` is not a kind of queue that can start runs")),
        None => return Err(format!("`{text}` does not say what kind of queue it is")),
    };
    let is_refused = |c: char| matches!(c, '\'' | '"' | ';' | '$') || c.is_control();
    match kind {
        _ if name.is_empty() || name.contains(char::is_whitespace) => {
            Err("the queue's name is missing or has spaces in it".to_owned())
        }
        QueueKind::Pgmq if name.len() > MAX_FLOW_SLUG => {
            Err(format!("the queue's name is longer than the {MAX_FLOW_SLUG} characters that pgmq allows"))
        }
        _ if name.contains(is_refused) => Err(format!("`{name}` is not the name of a queue")),
        _ => Ok((kind, name)),
    }
}
