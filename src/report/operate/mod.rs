//! Reports for operators.

mod changed;
mod queues;
mod retire;
mod run;
mod runs;
mod stalled;
mod stats;
mod watch;

pub use changed::{paused_json, pruned_json};
pub use queues::{queues_json, queues_text, workers_json, workers_text};
pub use retire::{old_versions_json, old_versions_text};
pub use run::{ended_json, run_json, run_text, started_json};
pub use runs::{runs_fit, runs_json, runs_text};
pub use stalled::{stalled_json, stalled_text};
pub use stats::{stats_json, stats_text};
pub use watch::{event_json, event_text};

pub use super::words::last_worker;
