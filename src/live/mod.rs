//! What a database holds: flows, steps and the ledger, read in one round trip; how a run stands, in another.

mod introspect;
mod run;
mod status;
mod unknown_flow;

pub use introspect::{
    ForeignJob, Live, LiveShape, RunCounts, TriggerDifference, foreign_jobs, read, read_snapshot, run_counts,
};
pub use run::{RunStates, StepProgress, run_states};
pub use status::{RunStatus, StepStatus, TaskStatus};
pub use unknown_flow::UnknownFlow;
