//! Commands that operate flows and runs.

pub(in crate::cli) mod cancel;
mod confirm;
mod follow;
mod operator;
pub(in crate::cli) mod pause;
pub(in crate::cli) mod prune;
pub(in crate::cli) mod queues;
pub(in crate::cli) mod retire;
pub(in crate::cli) mod retry;
pub(in crate::cli) mod runs;
pub(in crate::cli) mod show;
pub(in crate::cli) mod stalled;
pub(in crate::cli) mod start;
pub(in crate::cli) mod stats;
pub(in crate::cli) mod watch;
pub(in crate::cli) mod workers;
