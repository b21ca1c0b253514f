//! How far runs, steps and tasks have come: the words of pgflow's tables, and those for what the end of a run has left
//! unfinished, which the tables go on calling `created`, `queued` and `started`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! statuses {
    ($(#[doc = $about:literal])* $name:ident { $(#[doc = $doc:literal] $variant:ident = $word:literal;)* }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = $doc] #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Each of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word for machines.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        /// For people.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.as_str().replace('-', " "))
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().find(|status| status.as_str() == word);
                found.copied().ok_or_else(|| format!("`{word}` is none of {}", Self::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ")))
            }
        }
    };
}

statuses! {
    /// How far a run has come.
    RunStatus {
        /// Under way.
        Started = "started";
        /// Every step is done.
        Completed = "completed";
        /// A step has failed.
        Failed = "failed";
        /// Somebody has ended it: the engine calls it failed, and none of its steps is.
        Cancelled = "cancelled";
    }
}

statuses! {
    /// How far a step has come.
    StepStatus {
        /// It waits for steps that it depends on.
        Created = "created";
        /// Its tasks are queued or under way.
        Started = "started";
        /// Every task is done.
        Completed = "completed";
        /// A task has failed for good, or its condition was not met.
        Failed = "failed";
        /// It was left out.
        Skipped = "skipped";
        /// The run has ended before any task of it was tried.
        NotRun = "not-run";
        /// The run has ended while it was under way.
        CutOff = "cut-off";
    }
}

statuses! {
    /// How far a task has come.
    TaskStatus {
        /// It waits for a worker.
        Queued = "queued";
        /// A worker has it.
        Started = "started";
        /// Done.
        Completed = "completed";
        /// Its attempts are used up.
        Failed = "failed";
        /// The run has ended before it was tried.
        NotRun = "not-run";
        /// The run has ended while it was under way, or before its next attempt.
        CutOff = "cut-off";
    }
}

impl RunStatus {
    /// Whether it has ended. `retry` can still take up one that has failed or was cancelled.
    pub fn is_terminal(self) -> bool {
        self != Self::Started
    }

    /// Whether it has ended without being completed.
    pub fn has_failed(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled)
    }
}

impl StepStatus {
    /// Whether nothing more becomes of it in this run.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Created | Self::Started)
    }

    /// Whether the run has no more to do about it, as `remaining_steps` counts.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Completed | Self::Skipped)
    }
}

impl TaskStatus {
    /// Whether nothing more becomes of it in this run.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_one_word_for_tables_reports_and_command_lines() {
        for status in StepStatus::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert_eq!(StepStatus::NotRun.to_string(), "not run");
        assert_eq!(
            "done".parse::<RunStatus>(),
            Err("`done` is none of started, completed, failed, cancelled".to_owned())
        );
    }
}
