//! What a database holds: flows, steps and the ledger, read in one round trip; how a run stands, in another.

mod introspect;
mod run;

pub use introspect::{
    ForeignJob, Live, LiveShape, RunCounts, TriggerDifference, foreign_jobs, read, read_snapshot, run_counts,
};
pub use run::{RunId, RunStates, RunStatus, StepProgress, StepStatus, run_states};
