//! The hazards of a change in a live database.

use std::fmt;

use super::{Abilities, RefusedTrigger};
use crate::runs::RunTotals;
use flowsmith_core::catalog::{State, Step, TableName, Trigger, TriggerSource};
use flowsmith_core::diff::{AbandonedQueue, Change, Class, FlowDelta};

/// A hazard of a change: a reason to refuse it, or an effect to know before applying it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hazard {
    /// Steps would be replaced under runs that have copied them.
    ReplacedUnderRuns(RunTotals),
    /// Data would be deleted under runs that are started.
    DroppedUnderRuns(RunTotals),
    /// The engine has no conditions and skip modes.
    NoConditions,
    /// Runs that are started go on in the queue of the version that steps down.
    Drains(RunTotals),
    /// Runs that are started take the new options from their next task on.
    TunedUnderRuns(RunTotals),
    /// Finished runs are deleted with the flow.
    HistoryDeleted(RunTotals),
    /// A trigger is made on a table: writers to it wait until the migration ends.
    LocksTable(TableName),
    /// Schedules that no pg_cron runs, by name.
    NoPgCron(Vec<String>),
    /// Triggers of which a failure fails the change of the table, by name.
    Strict(Vec<String>),
    /// A trigger that the database cannot have.
    TriggerRefused(RefusedTrigger),
    /// A trigger leaves a queue of PgQ, and what it has not taken there is given up.
    LeavesQueue(AbandonedQueue),
}

impl Hazard {
    /// Whether `apply` is refused because of it.
    pub fn refuses(&self) -> bool {
        matches!(
            self,
            Self::ReplacedUnderRuns(_) | Self::DroppedUnderRuns(_) | Self::NoConditions | Self::TriggerRefused(_)
        )
    }

    /// Its stable name, for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReplacedUnderRuns(_) => "replaced-under-runs",
            Self::DroppedUnderRuns(_) => "dropped-under-runs",
            Self::NoConditions => "engine-without-conditions",
            Self::Drains(_) => "drains",
            Self::TunedUnderRuns(_) => "tuned-under-runs",
            Self::HistoryDeleted(_) => "history-deleted",
            Self::LocksTable(_) => "locks-table",
            Self::NoPgCron(_) => "no-pg-cron",
            Self::Strict(_) => "strict-trigger",
            Self::TriggerRefused(_) => "trigger-refused",
            Self::LeavesQueue(_) => "leaves-queue",
        }
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReplacedUnderRuns(runs) => write!(
                f,
                "refused: {} of this version {} ({} started); raise `version:` in its file, the old version then drains",
                count(runs.total),
                if runs.total == 1 { "exists" } else { "exist" },
                runs.started
            ),
            Self::DroppedUnderRuns(runs) => write!(f, "refused: {} started; wait until they end", count(runs.started)),
            Self::NoConditions => {
                write!(f, "refused: the engine has no conditions or skip modes; they need level 0.14")
            }
            Self::Drains(runs) => {
                write!(f, "{} started: keep workers on its queue until they end", count(runs.started))
            }
            Self::TunedUnderRuns(runs) => {
                write!(f, "{} started: their next tasks use the new values", count(runs.started))
            }
            Self::LocksTable(table) => write!(f, "writers to {table} wait until the migration is committed"),
            Self::NoPgCron(names) => write!(
                f,
                "no pg_cron in this database: {} {} only while a worker runs with --schedule",
                names.join(", "),
                if names.len() == 1 { "fires" } else { "fire" }
            ),
            Self::Strict(names) => {
                write!(f, "strict: where {} cannot start a run, the change of the table fails", names.join(", "))
            }
            Self::TriggerRefused(refused) => write!(f, "refused: trigger {}: {}", refused.trigger, refused.reason),
            Self::LeavesQueue(queue) => queue.fmt(f),
            Self::HistoryDeleted(runs) => write!(f, "{} deleted with it, outputs included", count(runs.total)),
        }
    }
}

fn count(runs: i64) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

/// What this change meets.
pub(super) fn hazards(change: &Change, runs: RunTotals, abilities: Abilities) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    if !abilities.conditions && change.after().is_some_and(|flow| flow.steps.iter().any(Step::needs_conditions)) {
        hazards.push(Hazard::NoConditions);
    }
    match change {
        Change::Create(_) => {}
        Change::Drop(_) if runs.started > 0 => hazards.push(Hazard::DroppedUnderRuns(runs)),
        Change::Drop(_) if runs.total > 0 => hazards.push(Hazard::HistoryDeleted(runs)),
        Change::Drop(_) => {}
        Change::Alter(alteration) => {
            if alteration.class() == Class::Replace && runs.total > 0 {
                hazards.push(Hazard::ReplacedUnderRuns(runs));
            }
            let has = |wanted: fn(&FlowDelta) -> bool| alteration.deltas.iter().any(wanted);
            let is_option = |delta: &FlowDelta| delta.class() == Class::Tune && !is_trigger(delta);
            if runs.started > 0 && has(is_option) {
                hazards.push(Hazard::TunedUnderRuns(runs));
            }
            let steps_down = |delta: &FlowDelta| matches!(delta, FlowDelta::State(state) if matches!(state.to, State::Draining | State::Retired));
            if runs.started > 0 && has(steps_down) {
                hazards.push(Hazard::Drains(runs));
            }
        }
    }
    hazards.extend(trigger_hazards(change, abilities));
    hazards
}

fn is_trigger(delta: &FlowDelta) -> bool {
    matches!(delta, FlowDelta::Trigger(_) | FlowDelta::TriggerAdded(_) | FlowDelta::TriggerRemoved(_))
}

/// What the triggers meet that come into force with this change.
fn trigger_hazards(change: &Change, abilities: Abilities) -> Vec<Hazard> {
    let coming = coming_triggers(change);
    let names = |wanted: fn(&&&Trigger) -> bool| -> Vec<String> {
        coming.iter().filter(wanted).map(|trigger| trigger.name.clone()).collect()
    };
    let mut tables: Vec<&TableName> = coming.iter().filter_map(|trigger| trigger.table()).collect();
    tables.dedup();
    let mut hazards: Vec<Hazard> = tables.into_iter().cloned().map(Hazard::LocksTable).collect();
    let strict = names(|trigger| matches!(&trigger.source, TriggerSource::Table(table) if table.strict));
    let schedules = names(|trigger| trigger.is_schedule());
    hazards.extend(Some(strict).filter(|names| !names.is_empty()).map(Hazard::Strict));
    hazards.extend(Some(schedules).filter(|names| !names.is_empty() && !abilities.pg_cron).map(Hazard::NoPgCron));
    hazards
}

/// The triggers that come into force with this change.
pub(super) fn coming_triggers(change: &Change) -> Vec<&Trigger> {
    let Some(flow) = change.after().filter(|flow| flow.state == State::Current) else { return Vec::new() };
    let is_new = |trigger: &&Trigger| match change {
        Change::Alter(alteration) if alteration.from.state == State::Current => {
            let same = |before: &Trigger| before.name == trigger.name && before.source == trigger.source;
            !alteration.from.triggers.iter().any(same)
        }
        _ => true,
    };
    flow.triggers.iter().filter(is_new).collect()
}
