//! Operating flows: starting runs, looking at them, mending them.
//!
//! Every question is one `.sql` template, answered in one round trip, in a read-only snapshot; every change is one
//! transaction. Statements go as plain text, so all of it works behind a transaction pooler.

mod engine;
mod error;
mod events;
mod flows;
mod follow;
mod input;
mod mend;
mod operator;
mod pause;
mod payload;
mod prune;
mod query;
mod queues;
mod reconnect;
mod retire;
mod run_id;
mod runs;
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
pub use error::OperateError;
pub use events::{Wakeups, WhyPolling};
pub use flows::{FlowVersion, Flows};
pub use follow::{FollowError, FollowEvent, follow};
pub use input::DeclaredInput;
pub use input::InputCheck;
pub use mend::{cancel_run, retry_run};
pub use operator::{CancellableRun, Operator, PrunableRuns, RetriedRun, StartedRun};
pub use pause::{Paused, pause_flows, resume_flows};
pub use payload::Payload;
pub use prune::{PruneFilter, count_prunable, prune};
pub use query::limited;
pub use queues::{QueueDepth, read_queues};
pub(crate) use reconnect::Reconnection;
pub use reconnect::{NoAnswer, until_answered};
pub use retire::{OldVersion, read_old_versions, to_retire};
pub use run_id::{RunPrefix, short_id_length};
pub use runs::{RunFailure, RunFilter, RunList, RunSummary, list_runs};
pub use show::{Depth, RunDetail, StepDetail, TaskDetail, read_run, skip_words};
pub(crate) use stalled::QUEUE_ANEW;
pub use stalled::{Stall, StallCause, find_stalled, requeue_stalled};
pub use start::start_run;
pub use start_input::StartInput;
pub use stats::{Durations, FlowStats, StepStats, read_stats};
pub use stats::{RunCounts, read_run_counts};
pub use status::{RunStatus, StepStatus, TaskStatus};
pub use totals::{RunTotals, read_run_totals};
pub use watch::{RunEvent, RunEventKind, events_between};
pub use workers::{Crew, Worker, WorkerHealth, read_crew, read_workers, start_worker};
