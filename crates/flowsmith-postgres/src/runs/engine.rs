//! The features of an engine on which the commands for runs depend.

use super::RunsError;
use crate::engine::detect::{Detection, EngineKind, EngineState};
use flowsmith_core::level::Level;

/// The features of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    /// The level.
    pub level: Level,
    /// The kind of engine.
    pub kind: EngineKind,
    /// Whether the schema `flowsmith` exists, which stores the names and versions of flows.
    pub has_ledger: bool,
    /// Whether the role may read the events of runs in `flowsmith.events`.
    pub reads_events: bool,
}

impl Engine {
    /// The features of a detected engine; none if the database has no engine or an incomplete one.
    pub fn of(detection: &Detection) -> Option<Self> {
        let EngineState::Present { level, kind, .. } = detection.engine else { return None };
        let has_ledger = detection.has_flowsmith_schema;
        Some(Self { level, kind, has_ledger, reads_events: detection.may_read_events })
    }

    /// Whether the engine can cancel, retry and prune runs and pause flows. Only flowsmith's engine can.
    pub fn has_operations(&self) -> bool {
        matches!(self.kind, EngineKind::Flowsmith { .. })
    }

    /// Whether the engine can skip steps and recover stalled tasks, and stores the outputs of steps.
    pub(super) fn has_conditions(&self) -> bool {
        self.level.has_conditions()
    }

    /// Checks that the engine [has operations](Self::has_operations); `what` names the requested one.
    ///
    /// # Errors
    /// [`RunsError::NeedsOperations`] if it has not.
    pub fn require_operations(&self, what: &'static str) -> Result<(), RunsError> {
        if self.has_operations() { Ok(()) } else { Err(RunsError::NeedsOperations { what }) }
    }

    /// The features as a value for templates.
    pub(super) fn context(&self) -> minijinja::Value {
        minijinja::context! {
            conditions => self.has_conditions(),
            operations => self.has_operations(),
            ledger => self.has_ledger,
            events => self.reads_events,
        }
    }
}
