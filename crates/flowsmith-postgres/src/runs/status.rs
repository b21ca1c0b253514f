//! The states of runs, steps and tasks. They are those of pgflow's tables, plus states for steps and tasks that were unfinished
//! when their run ended: the tables still have them as `created`, `queued` or `started`.

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
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in JSON and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        /// The name in reports.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.as_str().replace('-', " "))
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().find(|status| status.as_str() == word);
                found.copied().ok_or_else(|| format!("`{word}` is not one of {}", Self::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ")))
            }
        }
    };
}

statuses! {
    /// The state of a run.
    RunStatus {
        /// The run is running.
        Started = "started";
        /// Every step completed or was skipped.
        Completed = "completed";
        /// A step failed.
        Failed = "failed";
        /// An operator cancelled the run. The engine stores it as failed, without a failed step.
        Cancelled = "cancelled";
    }
}

statuses! {
    /// The state of a step.
    StepStatus {
        /// The step waits for its dependencies.
        Created = "created";
        /// Tasks of the step are queued or running.
        Started = "started";
        /// Every task completed.
        Completed = "completed";
        /// A task failed permanently, or the condition of the step was not met.
        Failed = "failed";
        /// The step was skipped.
        Skipped = "skipped";
        /// The run ended before any task of the step was attempted.
        NotRun = "not-run";
        /// The run ended while the step was running.
        CutOff = "cut-off";
    }
}

statuses! {
    /// The state of a task.
    TaskStatus {
        /// The task waits for a worker.
        Queued = "queued";
        /// A worker has claimed the task.
        Started = "started";
        /// The task completed.
        Completed = "completed";
        /// All attempts failed.
        Failed = "failed";
        /// The run ended before the task was attempted.
        NotRun = "not-run";
        /// The run ended while the task was running, or before its next attempt.
        CutOff = "cut-off";
    }
}

impl RunStatus {
    /// Whether the run has ended. `retry` can resume a failed or cancelled run.
    pub fn is_terminal(self) -> bool {
        self != Self::Started
    }

    /// Whether the run ended without completing.
    pub fn has_failed(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled)
    }
}

impl StepStatus {
    /// Whether the state is final.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Created | Self::Started)
    }

    /// Whether the step no longer counts in `remaining_steps`.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Completed | Self::Skipped)
    }
}

impl TaskStatus {
    /// Whether the state is final.
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
            Err("`done` is not one of started, completed, failed, cancelled".to_owned())
        );
    }
}
