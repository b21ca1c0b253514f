//! Introspection: flows, triggers and the ledger of a database, read in one round trip and one snapshot.

mod foreign_job;
mod live;
mod reader;
mod trigger_difference;

pub use foreign_job::{ForeignJob, read_foreign_jobs};
pub use live::{Live, LiveShape};
pub use reader::{read, read_snapshot};
pub use trigger_difference::TriggerDifference;
