//! The live state of a database: flows, steps, triggers and the ledger.

mod introspect;
mod status;
mod unknown_flow;

pub use introspect::{
    ForeignJob, Live, LiveShape, RunCounts, TriggerDifference, foreign_jobs, read, read_snapshot, run_counts,
};
pub use status::{RunStatus, StepStatus, TaskStatus};
pub use unknown_flow::UnknownFlow;

/// The help text for a flow whose queue is missing.
pub(crate) const RECREATE_QUEUE: &str =
    "run `flowsmith compile --from-live`, then `flowsmith apply --accept-drift`, to recreate the queue";
