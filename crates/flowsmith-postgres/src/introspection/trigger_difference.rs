//! Differences between the triggers in force and the recorded ones.

use std::fmt;

use serde::Serialize;

/// A difference between a trigger in force and its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TriggerDifference {
    /// The flow's slug.
    pub flow: String,
    /// The trigger's name.
    pub trigger: String,
    /// The difference, as the end of a sentence whose subject is the trigger.
    pub difference: String,
    /// Whether a current flow version declares the trigger. If not, the trigger exists without a declaration.
    pub declared: bool,
    /// Whether the trigger is as recorded and fails: its expressions name objects that do not exist, or that its owner may
    /// not use.
    pub broken: bool,
}

impl fmt::Display for TriggerDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: trigger {}: {}", self.flow, self.trigger, self.difference)
    }
}
