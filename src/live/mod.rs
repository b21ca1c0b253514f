//! What a database holds: flows, steps and the ledger, read in one round trip.

mod introspect;

pub use introspect::{
    ForeignJob, Live, LiveShape, RunCounts, TriggerDifference, foreign_jobs, read, read_snapshot, run_counts,
};
