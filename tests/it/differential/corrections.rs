//! Defects of the official engine that ours does not have, put right in what the official engine shows, so that the rest
//! can be compared. Each is told in docs/engine-differences.md and has a test of its own in engine_differences.rs.
//!
//! Others the scripts stay clear of: definitions that only one engine takes, delays that overflow, chains of more than 50
//! empty maps (flow.rs), and tasks that were not started but return what a dependent map cannot take (script.rs).

use std::collections::HashSet;

use serde_json::{Value, json};

use super::call::{Call, Names};
use super::state::{Clock, State};

/// What the official engine should have done after a call on a state.
pub(super) fn afterwards(call: &Call, names: Names, before: &State, clock: &Clock) -> String {
    let flow = names.flow();
    match call {
        // It means to hide the messages of started tasks for their timeout and 2 seconds, but does not.
        Call::StartTasks { .. } => include_str!("hide_started.sql").replace("{flow}", &flow),
        // It hides the message of a task that was not started, and so cannot fail.
        Call::Fail { task, .. } => match before.task(task).filter(|task| task["status"] == "queued") {
            Some(task) => {
                let message = task["message_id"].as_i64().unwrap();
                clock.visible_at(message).map_or(String::new(), |at| {
                    format!(
                        "update pgmq.q_{flow} set vt = 'epoch'::timestamptz + {at} * interval '1 microsecond' where msg_id = {message};"
                    )
                })
            }
            None => String::new(),
        },
        _ => String::new(),
    }
}

/// What the official engine should have returned: the task, where its output was refused for its type.
pub(super) fn refused(call: &Call, after: &State) -> Option<Value> {
    let Call::Complete { task, .. } = call else { return None };
    let task = after.task(task)?;
    task["error_message"].as_str()?.starts_with("[TYPE_VIOLATION]").then(|| json!([task]))
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
