//! Graphs of runs: the definition with the status of each step.

use super::words::elapsed;
use super::{Graph, Icon, Row};
use flowsmith_core::catalog::Flow;
use flowsmith_postgres::runs::{RunDetail, StepDetail};
use flowsmith_postgres::runs::{RunStatus, StepStatus};

impl Graph {
    /// A run of a flow.
    pub fn of_run(flow: &Flow, run: &RunDetail) -> Self {
        let mut graph = Self::of_flow(flow);
        graph.facts.extend([format!("run {}", run.run_id), fact(run)]);
        for node in &mut graph.nodes {
            match run.steps.iter().find(|step| step.step == node.slug) {
                Some(step) => {
                    node.status = Some(step.status);
                    node.is_queued = step.is_queued();
                    let tasks = step
                        .tasks
                        .filter(|tasks| *tasks > 1 && !matches!(step.status, StepStatus::Created | StepStatus::NotRun));
                    node.progress = tasks.map(|tasks| (u64::from(step.completed), u64::from(tasks)));
                    node.rows.splice(0..0, rows(run, step));
                    node.notes.extend(notes(step));
                }
                // The step was added to the flow manually after the run had started.
                None => node.notes.push("not in this run".to_owned()),
            }
        }
        graph
    }
}

fn fact(run: &RunDetail) -> String {
    let took = elapsed(run.seconds);
    let how = match run.status {
        RunStatus::Started => format!("started {took} ago"),
        status => format!("{status} after {took}"),
    };
    let done = run.steps.iter().filter(|step| step.status.is_done()).count();
    format!("{how}, {done} of {} steps done", run.steps.len())
}

fn rows(run: &RunDetail, step: &StepDetail) -> Vec<Row> {
    let mut text = step.status.to_string();
    let mut icon = Icon::Status(step.status);
    match step.status {
        StepStatus::Started if step.is_queued() => {
            icon = Icon::Status(StepStatus::Created);
            let tasks = step.tasks.filter(|tasks| *tasks > 1).map(|tasks| format!("{tasks} tasks "));
            let waited = step.seconds.map(|waited| format!(" for {}", elapsed(waited)));
            text = format!("{}queued{}", tasks.unwrap_or_default(), waited.unwrap_or_default());
        }
        StepStatus::Created => {
            let awaited = |other: &&StepDetail| step.depends_on.contains(&other.step) && !other.status.is_done();
            let awaited = run.steps.iter().filter(awaited).count();
            text = format!("waits for {awaited} {}", if awaited == 1 { "step" } else { "steps" });
        }
        StepStatus::Skipped => {
            if let Some(reason) = step.skip_reason_text() {
                text.push_str(&format!(": {reason}"));
            }
        }
        StepStatus::NotRun => {}
        StepStatus::Started | StepStatus::Completed | StepStatus::Failed | StepStatus::CutOff => {
            match step.tasks {
                Some(0) => text.push_str(", no tasks"),
                Some(tasks @ 2..) if step.status == StepStatus::Completed => text.push_str(&format!(", {tasks} tasks")),
                Some(tasks @ 2..) => text.push_str(&format!(", {} of {tasks} tasks", step.completed)),
                _ => {}
            }
            match step.seconds.map(elapsed) {
                Some(took) if step.status == StepStatus::Started => text.push_str(&format!(", {took}")),
                Some(took) if step.status == StepStatus::CutOff => text.push_str(&format!(" after {took}")),
                Some(took) => text.push_str(&format!(" in {took}")),
                None => {}
            }
        }
    }
    let mut rows = vec![Row::new(icon, text)];
    if step.attempts > 1 {
        let most = if step.tasks.is_some_and(|tasks| tasks > 1) { "up to " } else { "" };
        let so_far = if step.status == StepStatus::Started { " so far" } else { "" };
        rows.push(Row::new(Icon::Retry, format!("{most}{} attempts{so_far}", step.attempts)));
    }
    // An error is irrelevant after a later attempt has completed.
    let of_task = || step.task_list.iter().find_map(|task| task.error.as_ref());
    let error = step.error.as_ref().or_else(of_task).filter(|_| step.status != StepStatus::Completed);
    rows.extend(error.map(|error| Row::new(Icon::Error, error)));
    rows
}

fn notes(step: &StepDetail) -> Vec<String> {
    let StepDetail { queued, started, completed, failed, not_run, .. } = step;
    let counted = [
        ("queued", queued),
        ("started", started),
        ("completed", completed),
        ("failed", failed),
        ("cut off", &step.cut_off()),
        ("not run", not_run),
    ];
    let counted: Vec<_> =
        counted.iter().filter(|(_, count)| **count > 0).map(|(word, count)| format!("{count} {word}")).collect();
    if counted.is_empty() { Vec::new() } else { vec![format!("tasks: {}", counted.join(", "))] }
}
