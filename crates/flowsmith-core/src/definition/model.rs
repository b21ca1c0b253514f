//! A flow as written in its file: typed, but not yet checked by the rules.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shape::MAX_FLOW_SLUG;
use crate::catalog::{FailureMode, QueueKind};

/// One document. Values of the wrong shape are left out and have a finding.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FlowFile {
    /// The slug; `None` if it is missing or not a string.
    pub flow: Option<String>,
    /// The version, 1 if it is not written; `None` if it is invalid.
    pub version: Option<u32>,
    /// The flow's purpose.
    pub description: Option<String>,
    /// The person or team responsible for the flow.
    pub owner: Option<String>,
    /// Labels of any name and content.
    pub labels: BTreeMap<String, String>,
    /// The JSON Schema of the run's input.
    pub input: Option<Value>,
    /// The options that the steps inherit.
    pub defaults: Options,
    /// The steps, in the order of the file.
    pub steps: Vec<StepDefinition>,
    /// The triggers, in the order of the file.
    pub triggers: Vec<Trigger>,
    /// The names of the declared environments.
    pub environments: Vec<String>,
}

/// Retry and timeout options; `None` for an option that is not written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// The number of attempts, including the first.
    pub max_attempts: Option<i32>,
    /// The delay before the first retry, in seconds.
    pub base_delay: Option<i32>,
    /// The time limit of a task, in seconds.
    pub timeout: Option<i32>,
}

/// A string of a list. It carries its index because elements of the wrong type are left out of the decoded list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The index in the list as written, from 0.
    pub index: usize,
    /// The string.
    pub text: String,
}

/// The handler that flowsmith's worker runs for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handler {
    /// An SQL query.
    Sql(String),
    /// A command line for the shell.
    Shell(String),
    /// A program and its arguments.
    Exec(Vec<String>),
    /// An HTTP request.
    Http(Request),
}

/// The request of an `http` handler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The URL, with references to environment variables unresolved.
    pub url: String,
    /// The method; `None` for POST.
    pub method: Option<String>,
    /// The headers by name.
    pub headers: BTreeMap<String, String>,
}

/// A step as written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepDefinition {
    /// The key of the step under `steps`.
    pub slug: String,
    /// The step's purpose.
    pub description: Option<String>,
    /// The handler that flowsmith's worker runs.
    pub handler: Option<Handler>,
    /// The dependencies as listed; without the source of a map that is not repeated there.
    pub depends_on: Vec<Item>,
    /// The step whose output is mapped, or [`RUN`].
    pub map: Option<String>,
    /// The key `if`: the pattern that the input must contain.
    pub condition: Option<Value>,
    /// The key `if_not`: the pattern that the input must not contain.
    pub exclusion: Option<Value>,
    /// The effect of an unmet condition; `None` for the default, skip.
    pub when_unmet: Option<FailureMode>,
    /// The effect of a failed last attempt; `None` for the default, fail.
    pub when_exhausted: Option<FailureMode>,
    /// The options of the step itself, without inherited ones.
    pub options: Options,
    /// The delay in seconds between the step being ready and its tasks being visible to workers.
    pub start_delay: Option<i32>,
    /// The JSON Schema of the output.
    pub output: Option<Value>,
}

/// The value of `map` that stands for the run's input.
pub const RUN: &str = "run";

impl StepDefinition {
    /// Whether the step maps the run's input.
    pub fn is_root_map(&self) -> bool {
        self.map.as_deref() == Some(RUN)
    }

    /// The step whose output is mapped; `None` for a single step and for a map of the run's input.
    pub fn source(&self) -> Option<&str> {
        self.map.as_deref().filter(|source| *source != RUN)
    }

    /// All dependencies: those listed, and the source of a map unless it is listed too.
    pub fn dependencies(&self) -> impl Iterator<Item = &str> {
        let listed = self.depends_on.iter().map(|item| item.text.as_str());
        let source = self.source().filter(|source| self.depends_on.iter().all(|item| item.text != *source));
        listed.chain(source)
    }
}

/// A trigger as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// The index in the list, from 0.
    pub index: usize,
    /// The name; `None` if it is missing or not a string.
    pub name: Option<String>,
    /// The trigger's purpose.
    pub description: Option<String>,
    /// The source; `None` unless exactly one of `cron`, `table` and `queue` is written.
    pub source: Option<TriggerSource>,
    /// The constant input of the run.
    pub input: Option<Value>,
    /// The SQL expression that computes the input of the run.
    pub input_sql: Option<String>,
    /// Whether the change of the table fails if the run cannot be started.
    pub strict: bool,
    /// The keys written that only some kinds of triggers accept, out of [`super::shape::TRIGGER_SPECIAL_KEYS`].
    pub written: Vec<String>,
}

/// The source of a trigger.
#[derive(Debug, Clone, PartialEq)]
pub enum TriggerSource {
    /// A schedule of pg_cron.
    Cron(String),
    /// Changes of a table's rows.
    Table {
        /// The table name as written.
        table: String,
        /// The events as listed: `insert`, `update`, `delete`.
        on: Vec<Item>,
        /// The SQL condition on the changed row.
        when: Option<String>,
    },
    /// Events of a queue, as `pgq:<name>` or `pgmq:<name>`.
    Queue(String),
}

/// Parses `pgq:<name>` or `pgmq:<name>`.
///
/// # Errors
/// A message if the prefix is unknown, or the name is not one that such a queue can have.
pub fn queue(text: &str) -> Result<(QueueKind, &str), String> {
    let (kind, name) = match text.split_once(':') {
        Some(("pgq", name)) => (QueueKind::Pgq, name),
        Some(("pgmq", name)) => (QueueKind::Pgmq, name),
        Some((kind, _)) => return Err(format!("unknown kind of queue `{kind}`")),
        None => return Err(format!("the queue `{text}` has no prefix `pgq:` or `pgmq:`")),
    };
    let is_refused = |c: char| matches!(c, '\'' | '"' | ';' | '$') || c.is_control();
    match kind {
        _ if name.is_empty() || name.contains(char::is_whitespace) => {
            Err("the queue name is empty or contains spaces".to_owned())
        }
        QueueKind::Pgmq if name.len() > MAX_FLOW_SLUG => {
            Err(format!("the queue name is longer than {MAX_FLOW_SLUG} characters, the limit of pgmq"))
        }
        _ if name.contains(is_refused) => Err(format!("the queue name `{name}` contains forbidden characters")),
        _ => Ok((kind, name)),
    }
}
