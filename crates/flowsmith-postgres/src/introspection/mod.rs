//! Introspection: the live state of a database, read in one round trip and one snapshot.

mod foreign_job;
mod live;
mod reader;
mod trigger_difference;

pub use foreign_job::{ForeignJob, read_foreign_jobs};
pub use live::{Live, LiveShape};
pub use reader::{read, read_snapshot};
pub use trigger_difference::TriggerDifference;

/// The help text for a flow whose queue is missing.
pub(crate) const RECREATE_QUEUE: &str =
    "run `flowsmith compile --from-live`, then `flowsmith apply --accept-drift`, to recreate the queue";
