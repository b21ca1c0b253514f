//! Lists of runs.

use std::fmt::Write as _;

use anstyle::Style;
use serde::Serialize;

use super::super::Subject;
use super::super::plan::json;
use super::super::style::{BAD, BOLD, CARE, DIM, GOOD, paint};
use super::table::{Cell, table};
use super::words::{duration, line, time};
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::RunStatus;
use flowsmith_postgres::runs::{RunFailure, RunList, RunSummary};

/// The most characters of an error in a list.
const MAX_ERROR: usize = 80;

/// The width of the list with complete ids.
pub fn runs_width(list: &RunList) -> usize {
    let table = table(&HEAD, &list.runs.iter().map(|run| row(run, usize::MAX)).collect::<Vec<_>>());
    anstream::adapter::strip_str(&table).to_string().lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

const HEAD: [&str; 7] = ["RUN", "FLOW", "STATUS", "STARTED (UTC)", "ELAPSED", "STEPS", ""];

/// The list as text with the first `id_length` characters of each id.
pub fn runs_text(list: &RunList, id_length: usize, subject: &Subject) -> String {
    let mut text = format!("{} {} ({})\n\n", paint(BOLD, "Runs of"), subject.database, subject.engine);
    if list.runs.is_empty() {
        text.push_str("None.\n");
        return text;
    }
    let rows: Vec<_> = list.runs.iter().map(|run| row(run, id_length)).collect();
    text.push_str(&table(&HEAD, &rows));
    let more = if list.is_cut { "; there are more, see --limit and --since" } else { "" };
    let _ = writeln!(text, "\n{}{more}.", counted(list.runs.len(), "run"));
    text
}

fn row(run: &RunSummary, id_length: usize) -> Vec<Cell> {
    let failure = match &run.failure {
        Some(RunFailure { step, error }) => {
            line(&format!("{step}: {}", error.as_deref().unwrap_or("no error message")), MAX_ERROR)
        }
        None => String::new(),
    };
    vec![
        run.run_id.chars().take(id_length).collect::<String>().into(),
        format!("{}@{}", run.flow, run.version).into(),
        Cell::styled(of_run(run.status), run.status.as_str()),
        time(&run.started_at).into(),
        duration(run.seconds).into(),
        Cell::number(format!("{}/{}", run.steps - run.remaining_steps.min(run.steps), run.steps)),
        Cell::styled(DIM, failure),
    ]
}

pub(super) fn of_run(status: RunStatus) -> Style {
    match status {
        RunStatus::Started => CARE,
        RunStatus::Completed => GOOD,
        RunStatus::Failed => BAD,
        RunStatus::Cancelled => DIM,
    }
}

#[derive(Serialize)]
struct RunsJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    runs: &'a [RunSummary],
    is_cut: bool,
}

/// The report as JSON: `schema/runs.v1.json`.
pub fn runs_json(list: &RunList, subject: &Subject) -> String {
    json(&RunsJson {
        version: 1,
        database: &subject.database,
        engine: &subject.engine,
        runs: &list.runs,
        is_cut: list.is_cut,
    })
}
