//! What a change meets in a live database.

use std::fmt;

use crate::catalog::{State, Step};
use crate::diff::{Change, Class, FlowDelta};
use crate::live::RunCounts;

/// Something to know before applying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hazard {
    /// Steps would be replaced under runs that have copied them.
    ReplacedUnderRuns(RunCounts),
    /// Data would be deleted under runs that are started.
    DroppedUnderRuns(RunCounts),
    /// The engine has no conditions and skip modes.
    NoConditions,
    /// Runs that are started go on in the queue of the version that steps down.
    Drains(RunCounts),
    /// Runs that are started take the new options from their next task on.
    TunedUnderRuns(RunCounts),
    /// Finished runs are deleted with the flow.
    HistoryDeleted(RunCounts),
}

impl Hazard {
    /// Whether `apply` is refused because of it.
    pub fn refuses(&self) -> bool {
        matches!(self, Self::ReplacedUnderRuns(_) | Self::DroppedUnderRuns(_) | Self::NoConditions)
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
            Self::HistoryDeleted(runs) => write!(f, "{} deleted with it, outputs included", count(runs.total)),
        }
    }
}

fn count(runs: i64) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

/// What this change meets.
pub(super) fn hazards(change: &Change, runs: RunCounts, engine_has_conditions: bool) -> Vec<Hazard> {
    let mut hazards = Vec::new();
    if !engine_has_conditions && change.meant().is_some_and(|flow| flow.steps.iter().any(Step::needs_conditions)) {
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
            if runs.started > 0 && has(|delta| delta.class() == Class::Tune) {
                hazards.push(Hazard::TunedUnderRuns(runs));
            }
            let steps_down = |delta: &FlowDelta| matches!(delta, FlowDelta::State(state) if matches!(state.to, State::Draining | State::Retired));
            if runs.started > 0 && has(steps_down) {
                hazards.push(Hazard::Drains(runs));
            }
        }
    }
    hazards
}
