//! Operating flows: starting runs, looking at them, mending them.
//!
//! Every question is one `.sql` template, answered in one round trip, in a read-only snapshot; every change is one
//! transaction. Statements go as plain text, so all of it works behind a transaction pooler.

mod engine;
mod error;
mod events;
mod flows;
mod input;
mod mend;
mod pause;
mod payload;
mod prune;
mod query;
mod queues;
mod retire;
mod run_id;
mod runs;
mod show;
mod stalled;
mod start;
mod start_input;
mod stats;
mod watch;
mod workers;

pub use engine::Engine;
pub use error::RunsError;
pub use events::{RunWatcher, PollingReason};
pub use flows::{FlowVersion, Flows};
pub use input::DeclaredInput;
pub use input::InputValidator;
pub use mend::{cancel_run, retry_run};
pub use pause::{FlowPause, pause_flows, resume_flows};
pub use payload::Payload;
pub use prune::{PruneFilter, count_prunable, prune};
pub use query::with_statement_timeout;
pub use queues::{QueueDepth, read_queues};
pub use retire::{OldVersion, read_old_versions, versions_to_retire};
pub use run_id::{RunPrefix, short_id_length};
pub use runs::{RunFailure, RunFilter, RunList, RunSummary, list_runs};
pub use show::{DetailLevel, RunDetail, StepDetail, TaskDetail, read_run, skip_words};
pub(crate) use stalled::RECREATE_QUEUE;
pub use stalled::{StalledTasks, StallCause, find_stalled, requeue_stalled};
pub use start::start_run;
pub use start_input::StartInput;
pub use stats::{Durations, FlowStats, StepStats, read_stats};
pub use stats::{RunCounts, read_run_counts};
pub use watch::{RunEvent, RunEventKind, events_between};
pub use workers::{QueueWorkers, Worker, WorkerHealth, read_queue_workers, read_workers, start_worker_advice};
