//! The picture of a run: the definition, coloured by how each step stands.

use super::words::elapsed;
use super::{Graph, Icon, Row};
use crate::catalog::Flow;
use crate::live::{RunStates, RunStatus, StepProgress, StepStatus};

impl Graph {
    /// A run of a flow.
    pub fn of_run(flow: &Flow, run: &RunStates) -> Self {
        let mut graph = Self::of_flow(flow);
        graph.facts.push(fact(run));
        for node in &mut graph.nodes {
            match run.steps.get(&node.slug) {
                Some(step) => {
                    node.status = Some(step.status);
                    let tasks = step.tasks.filter(|tasks| *tasks > 1 && step.status != StepStatus::Created);
                    node.progress = tasks.map(|tasks| (step.completed, tasks));
                    node.rows.splice(0..0, rows(step));
                    node.notes.extend(notes(step));
                }
                // The step came into the flow by hand, after the run had started.
                None => node.notes.push("not in this run".to_owned()),
            }
        }
        graph
    }
}

fn fact(run: &RunStates) -> String {
    let took = elapsed(run.seconds);
    let how = match run.status {
        RunStatus::Started => format!("started {took} ago"),
        RunStatus::Completed | RunStatus::Failed => format!("{} after {took}", run.status.as_str()),
    };
    let done = run.steps.values().filter(|step| step.status.is_terminal()).count();
    format!("run {}: {how}, {done} of {} steps done", run.run_id, run.steps.len())
}

fn rows(step: &StepProgress) -> Vec<Row> {
    let mut text = step.status.as_str().to_owned();
    match step.status {
        StepStatus::Created if step.remaining_deps > 0 => text = format!("waits for {}", step.remaining_deps),
        StepStatus::Created => text = "waits".to_owned(),
        StepStatus::Skipped => {
            if let Some(reason) = &step.skip_reason {
                text.push_str(&format!(": {}", reason.replace('_', " ")));
            }
        }
        StepStatus::Started | StepStatus::Completed | StepStatus::Failed => {
            match step.tasks {
                Some(0) => text.push_str(", no tasks"),
                Some(tasks @ 2..) => text.push_str(&format!(", {} of {tasks} tasks", step.completed)),
                _ => {}
            }
            if let Some(seconds) = step.seconds {
                let word = if step.status == StepStatus::Started { "for" } else { "in" };
                text.push_str(&format!(" {word} {}", elapsed(seconds)));
            }
            if step.attempts > 1 {
                text.push_str(&format!(", attempt {}", step.attempts));
            }
        }
    }
    let mut rows = vec![Row::new(Icon::Status(step.status), text)];
    // An error that an attempt after it made good is history.
    let error = step.error.as_ref().filter(|_| step.status != StepStatus::Completed);
    rows.extend(error.map(|error| Row::new(Icon::Error, error)));
    rows
}

fn notes(step: &StepProgress) -> Vec<String> {
    let StepProgress { queued, running, completed, failed, .. } = step;
    let counted = [("queued", queued), ("started", running), ("completed", completed), ("failed", failed)];
    let counted: Vec<_> =
        counted.iter().filter(|(_, count)| **count > 0).map(|(word, count)| format!("{count} {word}")).collect();
    if counted.is_empty() { Vec::new() } else { vec![format!("tasks: {}", counted.join(", "))] }
}
