//! Defects of the official engine that ours does not have, put right in what the official engine shows, so that the rest
//! can be compared. Each is described in docs/engine-differences.md and has a test of its own in engine_differences.rs.
//!
//! Others the flows stay clear of: definitions that only one engine takes, delays that overflow, and chains of more than 50
//! empty maps.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::call::{Call, Names, Task, sql_json};
use super::state::State;

/// A call of the official engine, whose SQL follows `select * from`, put right.
pub(super) fn corrected(call: &Call, sql: String, names: Names) -> String {
    let with_task = |template: &str, task: &Task| {
        template.replace("{task}", &task.sql(names)).replace("{step}", &task.step_sql(names))
    };
    let template = match call {
        Call::StartTasks { .. } | Call::Poll { .. } => {
            include_str!("corrections/start_tasks.sql").replace("{flow}", &names.flow())
        }
        Call::Fail { task, .. } => with_task(include_str!("corrections/fail_task.sql"), task),
        Call::Complete { task, output, .. } => with_task(include_str!("corrections/complete_task.sql"), task)
            .replace("{output}", &sql_json(output.as_ref())),
        _ => return sql,
    };
    template.replace("{call}", &sql)
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
