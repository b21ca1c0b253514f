//! The content of a diagram: steps with their properties, and the dependencies between them.

use serde::Serialize;

use flowsmith_postgres::runs::StepStatus;

/// The content of a diagram.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// The name of the flow.
    pub title: String,
    /// Lines below the name: the description and options of the flow, the status of the run.
    pub facts: Vec<String>,
    /// The triggers of the flow.
    pub triggers: Vec<TriggerLabel>,
    /// The steps in the order of the database.
    pub nodes: Vec<Node>,
    /// The dependencies between the steps.
    pub edges: Vec<Edge>,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TriggerLabel {
    /// The name of the trigger.
    pub name: String,
    /// The source of its events, such as `cron 0 2 * * *`.
    pub what: String,
    /// The description in the flow file.
    pub description: Option<String>,
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The slug of the step.
    pub slug: String,
    /// The description in the flow file.
    pub description: Option<String>,
    /// Whether the step has one task for each element of an array.
    pub is_map: bool,
    /// Whether a condition decides if the step runs.
    pub is_conditional: bool,
    /// The effect of a change.
    pub mark: Mark,
    /// The status in a run.
    pub status: Option<StepStatus>,
    /// Whether tasks are queued and none has been started.
    pub is_queued: bool,
    /// The numbers of finished and of all tasks in a run.
    pub progress: Option<(u64, u64)>,
    /// Lines below the slug.
    pub rows: Vec<Row>,
    /// Details for tooltips and tables.
    pub notes: Vec<String>,
}

impl Graph {
    /// The lines below the name; the last one lists the triggers.
    pub(super) fn head_lines(&self) -> Vec<String> {
        let triggers: Vec<_> =
            self.triggers.iter().map(|trigger| format!("{} ({})", trigger.name, trigger.what)).collect();
        let line = (!triggers.is_empty()).then(|| format!("triggers: {}", triggers.join(", ")));
        self.facts.iter().cloned().chain(line).collect()
    }
}

impl Node {
    /// The status that determines the appearance: a queued step looks like one that has not started.
    pub fn drawn_status(&self) -> Option<StepStatus> {
        if self.is_queued { Some(StepStatus::Created) } else { self.status }
    }
}

/// A dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The position of the dependency in [`Graph::nodes`].
    pub from: usize,
    /// The position of the dependent step.
    pub to: usize,
    /// The effect of a change.
    pub mark: Mark,
}

/// The effect of a change on a step or a dependency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// No effect.
    #[default]
    Same,
    /// It exists before and after the change, and differs.
    Changed,
    /// It exists only after the change.
    Added,
    /// It exists only before the change.
    Removed,
}

impl Mark {
    /// The name, which is also the CSS class.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }

    /// The sign in front of the slug.
    pub fn sign(self) -> Option<char> {
        match self {
            Self::Same => None,
            Self::Changed => Some('~'),
            Self::Added => Some('+'),
            Self::Removed => Some('−'),
        }
    }
}

/// A line about a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The subject of the line.
    pub icon: Icon,
    /// The complete text; each output format shortens it as needed.
    pub text: String,
}

impl Row {
    pub(super) fn new(icon: Icon, text: impl Into<String>) -> Self {
        Self { icon, text: text.into() }
    }
}

/// The subject of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// One task for each element of an array.
    Map,
    /// A condition, or the consequence if it is not met.
    Condition,
    /// A start delay.
    Delay,
    /// The number of attempts.
    Retry,
    /// The timeout of a task.
    Timeout,
    /// The consequence if the last attempt fails.
    Exhausted,
    /// An error message.
    Error,
    /// The status of the step in a run.
    Status(StepStatus),
    /// The effect of a change on the step.
    Mark(Mark),
}
