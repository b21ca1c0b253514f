//! Reports applied migrations.

use std::time::Duration;

use flowsmith::report::{Subject, drift_text};
use flowsmith_postgres::apply::{Applied, Unscheduled, UnscheduledReason};

use super::output::Output;

/// The most schedules that a note names.
const NAMED: usize = 8;

/// Reports a migration that was applied.
pub(crate) fn report_migration(id: &str, took: Duration, output: &Output) {
    output.message(&format!("Applied {id} in {}", time(took)));
}

/// Reports the schedules that pg_cron does not run, and the drift that was accepted.
pub(crate) fn report_applied<'a>(applied: &Applied, subject: impl Into<Option<&'a Subject>>, output: &Output) {
    if let Some(unscheduled) = &applied.unscheduled {
        output.message(&note(unscheduled));
    }
    if let Some(subject) = subject.into().filter(|_| applied.drift.blocks_apply()) {
        output.aside(&drift_text(&applied.drift, subject, output.layout()));
    }
}

fn note(unscheduled: &Unscheduled) -> String {
    let care = anstyle::AnsiColor::Cyan.on_default().bold();
    let why = match &unscheduled.reason {
        UnscheduledReason::NotPermitted => "flowsmith may not use pg_cron",
        _ => "there is no pg_cron",
    };
    let mut note = format!(
        "{care}note{care:#}: {why} in this database, so these schedules fire only while a worker runs with --schedule:"
    );
    for (flow, trigger) in unscheduled.schedules.iter().take(NAMED) {
        note.push_str(&format!("\n        {flow}: {trigger}"));
    }
    if let more @ 1.. = unscheduled.schedules.len().saturating_sub(NAMED) {
        note.push_str(&format!("\n        and {more} more"));
    }
    match &unscheduled.reason {
        UnscheduledReason::OtherDatabase(database) => note.push_str(&format!(
            "\n      pg_cron is restricted to the database {database} (`cron.database_name`); to use it, flowsmith and its flows must be installed there"
        )),
        UnscheduledReason::NotPermitted => {
            note.push_str("\n      or grant the role that installed flowsmith access (`grant usage on schema cron to …`), then run `flowsmith install`");
        }
        _ => note.push_str(
            "\n      or use pg_cron, if `cron.database_name` names this database: run `create extension pg_cron`, then \
             `flowsmith install`",
        ),
    }
    note
}

/// `37 ms`, `1.2 s`.
pub(crate) fn time(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}
