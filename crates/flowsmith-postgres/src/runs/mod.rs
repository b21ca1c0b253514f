//! Runs: starting, listing, watching, cancelling, retrying and pruning them; queues and workers.
//!
//! Each query is a `.sql` template that runs in a read-only snapshot, each change is a transaction, and both take one round
//! trip. The statements are sent as simple queries, so everything works behind a transaction pooler.

mod engine;
mod error;
mod events;
mod flows;
mod follow;
mod input;
mod list;
mod operations;
mod operator;
mod pause;
mod payload;
mod prune;
mod query;
mod queues;
mod reconnect;
mod retire;
mod run_control;
mod run_id;
mod show;
mod stalled;
mod start;
mod start_input;
mod stats;
mod status;
mod totals;
mod watch;
mod workers;

pub use engine::Engine;
pub use error::RunsError;
pub use events::{PollingReason, RunWatcher};
pub use flows::{FlowVersion, Flows};
pub use follow::{FollowError, FollowEvent, follow};
pub use input::{DeclaredInput, InputValidator};
pub use list::{RunFailure, RunFilter, RunList, RunSummary, list_runs};
pub use operations::{CancellableRun, PrunableRuns, RetriedRun, StartedRun};
pub use operator::Operator;
pub use pause::{FlowPause, pause_flows, resume_flows};
pub use payload::Payload;
pub use prune::{PruneFilter, count_prunable, prune};
pub use query::with_statement_timeout;
pub use queues::{QueueDepth, read_queues};
pub(crate) use reconnect::Reconnection;
pub use reconnect::{NoAnswer, until_answered};
pub use retire::{OldVersion, read_old_versions, versions_to_retire};
pub use run_control::{cancel_run, retry_run};
pub use run_id::{RunPrefix, short_id_length};
pub use show::{DetailLevel, RunDetail, StepDetail, TaskDetail, read_run, skip_reason_text};
pub use stalled::{StallCause, StalledTasks, find_stalled, requeue_stalled};
pub use start::start_run;
pub use start_input::StartInput;
pub use stats::{Durations, FlowStats, RunCounts, StepStats, read_run_counts, read_stats};
pub use status::{RunStatus, StepStatus, TaskStatus};
pub use totals::{RunTotals, read_run_totals};
pub use watch::{RunEvent, RunEventKind, events_between};
pub use workers::{QueueWorkers, Worker, WorkerHealth, read_queue_workers, read_workers, start_worker_advice};
