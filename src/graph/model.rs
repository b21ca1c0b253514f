//! What a picture shows: steps with what is to be said of each, and the dependencies between them.

use serde::Serialize;

use flowsmith_postgres::runs::StepStatus;

/// A flow as a picture shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// The flow's name.
    pub title: String,
    /// Lines below the name: what the flow is for, its options, how the run stands.
    pub facts: Vec<String>,
    /// What starts runs of it.
    pub triggers: Vec<Start>,
    /// Steps, in database order.
    pub nodes: Vec<Node>,
    /// Dependencies between them.
    pub edges: Vec<Edge>,
}

/// What starts runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Start {
    /// The trigger's name.
    pub name: String,
    /// What it listens to: `cron 0 2 * * *`.
    pub what: String,
    /// What it is for.
    pub description: Option<String>,
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name.
    pub slug: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it has a task per element of an array.
    pub is_map: bool,
    /// Whether a condition may keep it from running.
    pub is_conditional: bool,
    /// What becomes of it.
    pub mark: Mark,
    /// How it stands in a run.
    pub status: Option<StepStatus>,
    /// Whether its tasks are queued, and none was ever started.
    pub is_queued: bool,
    /// Of its tasks in a run: how many are done, and how many there are.
    pub progress: Option<(u64, u64)>,
    /// What is said below its name.
    pub rows: Vec<Row>,
    /// What else is told to who asks: in a tooltip or a table.
    pub notes: Vec<String>,
}

impl Graph {
    /// Lines below the name, the last of which names the triggers.
    pub(super) fn head_lines(&self) -> Vec<String> {
        let triggers: Vec<_> =
            self.triggers.iter().map(|trigger| format!("{} ({})", trigger.name, trigger.what)).collect();
        let line = (!triggers.is_empty()).then(|| format!("triggers: {}", triggers.join(", ")));
        self.facts.iter().cloned().chain(line).collect()
    }
}

impl Node {
    /// How it looks by its state: what is queued has not begun.
    pub fn drawn_status(&self) -> Option<StepStatus> {
        if self.is_queued { Some(StepStatus::Created) } else { self.status }
    }
}

/// A dependency, or the way from a source to its map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Place of the step that is waited for.
    pub from: usize,
    /// Place of the step that waits.
    pub to: usize,
    /// What becomes of it.
    pub mark: Mark,
}

/// What a change makes of a step or a dependency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Nothing.
    #[default]
    Same,
    /// It is there before and after, and differs.
    Changed,
    /// It is new.
    Added,
    /// It goes.
    Removed,
}

impl Mark {
    /// The word, also the name of its class in a picture.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }

    /// The sign in front of it.
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
    /// What it is about.
    pub icon: Icon,
    /// In words, whole: who draws it shortens it.
    pub text: String,
}

impl Row {
    pub(super) fn new(icon: Icon, text: impl Into<String>) -> Self {
        Self { icon, text: text.into() }
    }
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// A task per element.
    Map,
    /// A condition and what follows where it is not met.
    Condition,
    /// A wait before the step starts.
    Delay,
    /// How often a task is tried.
    Retry,
    /// How long a task may take.
    Timeout,
    /// What follows where the attempts are used up.
    Exhausted,
    /// What goes wrong.
    Error,
    /// How the step stands in a run.
    Status(StepStatus),
    /// What a change makes of it.
    Mark(Mark),
}
