//! Defects of the official engine that ours does not have, put right in what the official engine shows, so that the rest
//! can be compared. Each is told in docs/engine-differences.md and has a test of its own in engine_differences.rs.
//!
//! Others the scripts stay clear of: definitions that only one engine takes, delays that overflow, chains of more than 50
//! empty maps (flow.rs), and tasks that were not started but return what a dependent map cannot take (script.rs).

use std::collections::HashSet;

use serde_json::Value;

use super::call::{Call, Names};

/// What the official engine should have done after a call.
pub(super) fn afterwards(call: &Call, names: Names) -> Option<String> {
    match call {
        // It means to hide the messages of started tasks for their timeout and 2 seconds, but does not.
        Call::StartTasks { .. } => Some(include_str!("hide_started.sql").replace("{flow}", &names.flow())),
        _ => None,
    }
}

/// Takes away what the official engine should not have sent: `step:completed` once more for each late callback.
#[derive(Default)]
pub(super) struct Once {
    completed: HashSet<(String, String)>,
}

impl Once {
    pub(super) fn retain(&mut self, events: &mut Vec<Value>) {
        events.retain(|event| {
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            event["payload"]["event_type"] != "step:completed" || self.completed.insert((text("topic"), text("event")))
        });
    }
}
