//! What the engine at hand can do for an operator.

use super::OperateError;
use crate::engine::Level;
use crate::engine::detect::{Detection, EngineKind, EngineState};

/// The engine, as far as operating depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    /// Its level.
    pub level: Level,
    /// Whose it is.
    pub kind: EngineKind,
    /// Whether the schema `flowsmith` is there, which knows flows by their names and versions.
    pub has_ledger: bool,
    /// Whether the role may read what was done to a run, in `flowsmith.events`, and an index finds it there.
    pub reads_events: bool,
}

impl Engine {
    /// What was found in a database; none where it has no engine, or part of one.
    pub fn of(detection: &Detection) -> Option<Self> {
        let EngineState::Present { level, kind, .. } = detection.engine else { return None };
        let has_ledger = detection.has_flowsmith_schema;
        Some(Self { level, kind, has_ledger, reads_events: detection.may_read_events })
    }

    /// Whether the engine can cancel, retry, pause and prune, which official engines cannot.
    pub fn has_operations(&self) -> bool {
        matches!(self.kind, EngineKind::Flowsmith { .. })
    }

    /// Whether steps can be skipped, keep their outputs, and stalled tasks be recovered.
    pub(super) fn has_conditions(&self) -> bool {
        self.level.has_conditions()
    }

    /// Refuses where it lacks them.
    ///
    /// # Errors
    /// There.
    pub fn needs_operations(&self, what: &'static str) -> Result<(), OperateError> {
        if self.has_operations() { Ok(()) } else { Err(OperateError::NeedsOperations { what }) }
    }

    /// For templates.
    pub(super) fn context(&self) -> minijinja::Value {
        minijinja::context! {
            conditions => self.has_conditions(),
            operations => self.has_operations(),
            ledger => self.has_ledger,
            events => self.reads_events,
        }
    }
}
