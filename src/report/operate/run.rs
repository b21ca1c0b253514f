//! Reports of one run.

use anstyle::Style;
use serde::Serialize;

use super::super::Subject;
use super::super::format::json;
use super::super::layout::{Text, TextLayout};
use super::super::style::{BAD, BOLD, CARE, DIM, GOOD, paint};
use super::super::words::{duration, line, payload, time};
use super::runs::of_run;
use flowsmith_postgres::runs::{Payload, RunDetail, RunSummary, StepDetail, TaskDetail};
use flowsmith_postgres::runs::{StepStatus, TaskStatus};

/// The most characters of an input, output or error without `--full`.
const MOST: usize = 100;
/// The most lines of an error without `--full`.
const MOST_LINES: usize = 4;
/// The least number of characters of a value in a narrow report, and the space for its size.
const LEAST: usize = 20;
const SIZE: usize = " (1000.0 kB)".len();

/// The run as text. The steps form a tree: each step is below its last dependency. With `is_full`, nothing is omitted.
pub fn run_text(run: &RunDetail, is_full: bool, layout: TextLayout) -> String {
    let status = paint(of_run(run.status), run.status);
    let took = if run.ended_at.is_some() { "after" } else { "for" };
    let mut text = Text::new(layout);
    text.line(format!(
        "{} {}  {}@{}  {status} {took} {}",
        paint(BOLD, "Run"),
        run.run_id,
        run.flow,
        run.version,
        duration(run.seconds)
    ));
    let retried = run.retried_at.as_ref().map(|at| format!(", retried {}", time(at))).unwrap_or_default();
    let ended = run.ended_at.as_ref().map(|at| format!(", ended {}", time(at))).unwrap_or_default();
    text.line(format!("  started {}{retried}{ended} (UTC)", time(&run.started_at)));
    if let Some(reason) = run.failure_reason() {
        let status = paint(of_run(run.status), format!("{}:", run.status));
        text.line(format!("  {status} {}", line(&reason, if is_full { usize::MAX } else { 2 * MOST })));
    }
    let view = View { run, is_full };
    view.value(&mut text, "  ", "input", run.input.as_ref());
    view.value(&mut text, "  ", "output", run.output.as_ref());
    text.blank();
    let roots: Vec<&StepDetail> = run.steps.iter().filter(|step| step.depends_on.is_empty()).collect();
    view.steps(&mut text, &roots, "  ", true);
    text.finish()
}

struct View<'a> {
    run: &'a RunDetail,
    is_full: bool,
}

impl View<'_> {
    /// The steps at one node of the tree; root steps have no branch.
    fn steps(&self, text: &mut Text, steps: &[&StepDetail], indent: &str, is_root: bool) {
        for (place, step) in steps.iter().enumerate() {
            let is_last = place + 1 == steps.len();
            let (branch, trunk) = match (is_root, is_last) {
                (true, _) => ("", ""),
                (false, true) => ("└─ ", "   "),
                (false, false) => ("├─ ", "│  "),
            };
            let below = format!("{indent}{trunk}");
            let children: Vec<&StepDetail> = self
                .run
                .steps
                .iter()
                .filter(|child| self.parent(child).is_some_and(|parent| parent == step.step))
                .collect();
            let inner =
                if children.is_empty() { format!("{below}  ") } else { format!("{below}{} ", paint(DIM, "│")) };
            text.hanging(&format!("{indent}{}", paint(DIM, branch)), &format!("{inner}  "), &self.head(step));
            self.body(text, step, &inner);
            self.steps(text, &children, &below, false);
        }
    }

    /// The last dependency in the order of definition.
    fn parent<'s>(&self, step: &'s StepDetail) -> Option<&'s str> {
        let place = |slug: &str| self.run.steps.iter().position(|other| other.step == slug);
        step.depends_on.iter().max_by_key(|slug| place(slug)).map(String::as_str)
    }

    fn head(&self, step: &StepDetail) -> String {
        let (sign, style) = of_step(step.status);
        let mut parts = vec![format!("{} {}", paint(style, sign), paint(BOLD, &step.step)), paint(style, step.status)];
        if step.kind == "map" {
            let tasks = step.tasks.map_or_else(|| "?".to_owned(), |tasks| tasks.to_string());
            parts.push(format!("{}/{tasks} tasks", step.completed));
        }
        if let Some(seconds) = step.seconds.filter(|_| !matches!(step.status, StepStatus::Skipped | StepStatus::NotRun))
        {
            parts.push(duration(seconds));
        }
        if step.attempts > 1 {
            let of = if step.max_attempts > 0 { format!(" of {}", step.max_attempts) } else { String::new() };
            parts.push(paint(CARE, format!("attempt {}{of}", step.attempts)));
        }
        parts.extend(unfinished(step));
        if let Some(reason) = step.skip_reason_text() {
            parts.push(paint(DIM, reason));
        }
        let parent = self.parent(step);
        let others: Vec<&str> =
            step.depends_on.iter().map(String::as_str).filter(|slug| Some(*slug) != parent).collect();
        if !others.is_empty() {
            parts.push(paint(DIM, format!("also after {}", others.join(", "))));
        }
        parts.join("  ")
    }

    fn body(&self, text: &mut Text, step: &StepDetail, indent: &str) {
        if let Some(error) = &step.error {
            self.error(text, indent, "error", error);
        }
        self.value(text, indent, "input", step.input.as_ref());
        self.value(text, indent, "output", step.output.as_ref());
        for task in &step.task_list {
            self.task(text, indent, step, task);
        }
    }

    fn task(&self, text: &mut Text, indent: &str, step: &StepDetail, task: &TaskDetail) {
        let is_repeated = step.kind == "single" && step.error == task.error;
        if !self.is_full && is_repeated {
            return;
        }
        let style = match task.status {
            TaskStatus::Queued | TaskStatus::Started => CARE,
            TaskStatus::Completed => GOOD,
            TaskStatus::Failed => BAD,
            TaskStatus::NotRun => DIM,
            TaskStatus::CutOff => CARE,
        };
        let mut parts = vec![format!("task {}", task.index), paint(style, task.status)];
        if let Some(seconds) = task.seconds {
            parts.push(duration(seconds));
        }
        parts.push(format!("attempt {}", task.attempts));
        if let Some(worker) = &task.worker_id {
            parts.push(paint(DIM, format!("worker {worker}")));
        }
        text.hanging(&format!("{indent}  "), &format!("{indent}    "), &parts.join("  "));
        if let Some(error) = &task.error {
            self.error(text, &format!("{indent}  "), "error", error);
        }
        if step.kind == "map" {
            self.value(text, &format!("{indent}  "), "output", task.output.as_ref());
        }
    }

    fn value(&self, text: &mut Text, indent: &str, name: &str, value: Option<&Payload>) {
        let Some(value) = value else { return };
        let label = format!("{indent}  {} ", paint(DIM, name));
        let room = text.room_after(&label);
        let most = if self.is_full { None } else { Some(MOST) };
        let mut shown = payload(value, most);
        if !self.is_full && shown.chars().count() > room {
            shown = payload(value, Some(room.saturating_sub(SIZE).clamp(LEAST, MOST)));
        }
        text.unwrapped(&format!("{label}{shown}"));
    }

    fn error(&self, text: &mut Text, indent: &str, name: &str, error: &str) {
        let (lines, most) = if self.is_full { (usize::MAX, usize::MAX) } else { (MOST_LINES, 2 * MOST) };
        let below = format!("{indent}  {:width$} ", "", width = name.len());
        for (place, part) in error.lines().take(lines).enumerate() {
            let label = if place == 0 { format!("{indent}  {} ", paint(BAD, name)) } else { below.clone() };
            text.hanging(&label, &below, &line(part, most));
        }
        if error.lines().nth(lines).is_some() {
            text.line(format!("{indent}  {}", paint(DIM, "… (--full shows all of it)")));
        }
    }
}

/// The numbers of unfinished tasks by state.
fn unfinished(step: &StepDetail) -> Option<String> {
    if !matches!(step.status, StepStatus::Started | StepStatus::CutOff) {
        return None;
    }
    let (cut_off, not_run) = if step.kind == "map" { (step.cut_off(), step.not_run) } else { (0, 0) };
    let counts = [
        (step.queued, "queued"),
        (step.started, "running"),
        (step.failed, "failed"),
        (cut_off, "cut off"),
        (not_run, "not run"),
    ];
    let words: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn of_step(status: StepStatus) -> (&'static str, Style) {
    match status {
        StepStatus::Created => ("○", DIM),
        StepStatus::Started => ("▶", CARE),
        StepStatus::Completed => ("✔", GOOD),
        StepStatus::Failed => ("✘", BAD),
        StepStatus::Skipped => ("⤼", DIM),
        StepStatus::NotRun => ("○", DIM),
        StepStatus::CutOff => ("✂", CARE),
    }
}

#[derive(Serialize)]
struct ShowJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    run: &'a RunDetail,
}

#[derive(Serialize)]
struct RunJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    run: &'a RunSummary,
    output: Option<&'a Payload>,
    error: Option<String>,
}

/// A run with its steps as JSON: `schema/show.v1.json`.
pub fn run_json(run: &RunDetail, subject: &Subject) -> String {
    json(&ShowJson { version: 1, database: &subject.database, engine: &subject.engine, run })
}

/// A started or changed run as JSON: `schema/run.v1.json`.
pub fn started_json(run: &RunSummary, subject: &Subject) -> String {
    let error = run.failure.as_ref().map(ToString::to_string);
    json(&RunJson { version: 1, database: &subject.database, engine: &subject.engine, run, output: None, error })
}

/// A run that ended while it was followed, as JSON: `schema/run.v1.json`.
pub fn ended_json(run: &RunDetail, subject: &Subject) -> String {
    json(&RunJson {
        version: 1,
        database: &subject.database,
        engine: &subject.engine,
        run: &run.summary(),
        output: run.output.as_ref(),
        error: run.failure_reason(),
    })
}
