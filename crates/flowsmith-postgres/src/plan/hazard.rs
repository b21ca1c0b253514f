//! Hazards: consequences of a change that depend on the live database.

use std::fmt;

use super::{Abilities, RefusedTrigger};
use crate::runs::RunTotals;
use flowsmith_core::catalog::{State, Step, TableName, Trigger, TriggerSource};
use flowsmith_core::diff::{AbandonedQueue, Change, Class, FlowDelta};

/// A consequence to consider before applying, or a reason for refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hazard {
    /// The change replaces steps of a version that has runs; runs copy their steps at the start.
    ReplacedUnderRuns(RunTotals),
    /// The change deletes a version with running runs.
    DroppedUnderRuns(RunTotals),
    /// The engine does not support conditions and skip modes.
    NoConditions,
    /// Running runs continue in the queue of a version that is no longer current.
    Drains(RunTotals),
    /// Running runs use the new options from their next task on.
    TunedUnderRuns(RunTotals),
    /// Finished runs are deleted with the flow.
    HistoryDeleted(RunTotals),
    /// A trigger is created on a table; writers to it wait until the migration ends.
    LocksTable(TableName),
    /// Names of schedules that only a worker runs, because the database has no pg_cron.
    NoPgCron(Vec<String>),
    /// Names of triggers whose failure fails the statement that changes the table.
    Strict(Vec<String>),
    /// The database cannot create a trigger.
    TriggerRefused(RefusedTrigger),
    /// A trigger stops consuming a PgQ queue, and its unconsumed events start no run.
    LeavesQueue(AbandonedQueue),
}

impl Hazard {
    /// Whether the hazard makes `apply` refuse the change.
    pub fn refuses(&self) -> bool {
        matches!(
            self,
            Self::ReplacedUnderRuns(_) | Self::DroppedUnderRuns(_) | Self::NoConditions | Self::TriggerRefused(_)
        )
    }

    /// The stable name for JSON.
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
                "refused: {} of this version {} ({} running); raise `version:` in the flow file, so that the old version drains",
                count(runs.total),
                if runs.total == 1 { "exists" } else { "exist" },
                runs.started
            ),
            Self::DroppedUnderRuns(runs) => {
                write!(f, "refused: {} still running; wait until they end", count(runs.started))
            }
            Self::NoConditions => {
                write!(f, "refused: the engine does not support conditions and skip modes; they require level 0.14")
            }
            Self::Drains(runs) => {
                write!(f, "{} still running: keep workers on its queue until they end", count(runs.started))
            }
            Self::TunedUnderRuns(runs) => {
                write!(f, "{} still running: their next tasks use the new values", count(runs.started))
            }
            Self::LocksTable(table) => write!(f, "writers to {table} wait until the migration commits"),
            Self::NoPgCron(names) => write!(
                f,
                "this database has no pg_cron: {} {} only while a worker runs with --schedule",
                names.join(", "),
                if names.len() == 1 { "fires" } else { "fire" }
            ),
            Self::Strict(names) => {
                write!(
                    f,
                    "strict: if {} cannot start a run, the statement that changes the table fails",
                    names.join(", ")
                )
            }
            Self::TriggerRefused(refused) => write!(f, "refused: trigger {}: {}", refused.trigger, refused.reason),
            Self::LeavesQueue(queue) => queue.fmt(f),
            Self::HistoryDeleted(runs) => {
                write!(f, "{} deleted with the flow, including their outputs", count(runs.total))
            }
        }
    }
}

fn count(runs: i64) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

/// The hazards of a change.
pub(super) fn hazards(change: &Change, runs: RunTotals, abilities: Abilities) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    if !abilities.conditions && change.result().is_some_and(|flow| flow.steps.iter().any(Step::needs_conditions)) {
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

/// The hazards of the triggers that a change activates.
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

/// The triggers that a change activates.
pub(super) fn coming_triggers(change: &Change) -> Vec<&Trigger> {
    let Some(flow) = change.result().filter(|flow| flow.state == State::Current) else { return Vec::new() };
    let is_new = |trigger: &&Trigger| match change {
        Change::Alter(alteration) if alteration.from.state == State::Current => {
            let same = |before: &Trigger| before.name == trigger.name && before.source == trigger.source;
            !alteration.from.triggers.iter().any(same)
        }
        _ => true,
    };
    flow.triggers.iter().filter(is_new).collect()
}
