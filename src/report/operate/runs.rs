//! Lists of runs.

use anstyle::Style;
use serde::Serialize;

use super::super::Subject;
use super::super::format::json;
use super::super::layout::{Cell, Column, Table, Text, TextLayout};
use super::super::style::{BAD, CARE, DIM, GOOD};
use super::super::words::{duration, line, time};
use flowsmith_core::words::counted;
use flowsmith_postgres::runs::RunStatus;
use flowsmith_postgres::runs::{RunFailure, RunList, RunSummary};

/// The most characters of an error in a list.
const MAX_ERROR: usize = 80;

const COLUMNS: [Column; 6] = [
    Column::whole("RUN"),
    Column::name("FLOW"),
    Column::whole("STATUS"),
    Column::whole("STARTED (UTC)"),
    Column::number("ELAPSED").or("TIME"),
    Column::number("STEPS"),
];

/// Whether the list fits with complete ids.
pub fn runs_fit(list: &RunList, layout: TextLayout) -> bool {
    layout.fits(table(list, usize::MAX).width())
}

/// The list as text with the first `id_length` characters of each id.
pub fn runs_text(list: &RunList, id_length: usize, subject: &Subject, layout: TextLayout) -> String {
    let mut text = Text::titled("Runs of", subject, layout);
    text.blank();
    if list.runs.is_empty() {
        text.line("None.");
        return text.finish();
    }
    text.table(&table(list, id_length));
    let more = if list.is_cut { "; there are more, see --limit and --since" } else { "" };
    text.blank();
    text.line(format!("{}{more}.", counted(list.runs.len(), "run")));
    text.finish()
}

fn table(list: &RunList, id_length: usize) -> Table {
    let mut table = Table::new(&COLUMNS);
    for run in &list.runs {
        let failure = run.failure.as_ref().map(|RunFailure { step, error }| {
            line(&format!("{step}: {}", error.as_deref().unwrap_or("no error message")), MAX_ERROR)
        });
        let cells = [
            run.run_id.chars().take(id_length).collect::<String>().into(),
            format!("{}@{}", run.flow, run.version).into(),
            Cell::styled(of_run(run.status), run.status.as_str()),
            time(&run.started_at).into(),
            duration(run.seconds).into(),
            Cell::number(format!("{}/{}", run.steps - run.remaining_steps.min(run.steps), run.steps)),
        ];
        table.noted(cells, Cell::styled(DIM, failure.unwrap_or_default()));
    }
    table
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
