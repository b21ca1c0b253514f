//! Differences between active triggers and their records.

use std::fmt;

use serde::Serialize;
use sqlx::FromRow;

/// A difference between an active trigger and its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct TriggerDifference {
    /// The slug of the flow.
    pub flow: String,
    /// The name of the trigger.
    pub trigger: String,
    /// The difference, as a predicate whose subject is the trigger.
    pub difference: String,
    /// Whether a current flow version declares the trigger; if not, it is superfluous.
    pub declared: bool,
    /// Whether the trigger matches its record but does not work, because its expressions refer to objects that are missing or
    /// not accessible.
    pub broken: bool,
}

impl fmt::Display for TriggerDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: trigger {}: {}", self.flow, self.trigger, self.difference)
    }
}
