//! Operating flows: starting runs, looking at them, mending them.
//!
//! Every question is one `.sql` template, answered in one round trip, in a read-only snapshot; every change is one
//! transaction. Statements go as plain text, so all of it works behind a transaction pooler.

mod engine;
mod error;
mod events;
mod flows;
mod payload;
mod query;
mod run_id;
mod runs;
mod show;
mod start;
mod watch;

pub use engine::Engine;
pub use error::OperateError;
pub use events::{Wakeups, WhyPolling};
pub use flows::{FlowVersion, Flows};
pub use payload::Payload;
pub use run_id::RunPrefix;
pub use runs::{RunFailure, RunFilter, RunList, RunStatus, RunSummary, list_runs};
pub use show::{Depth, RunDetail, StepDetail, StepStatus, TaskDetail, TaskStatus, read_run};
pub use start::{StartInput, start_run};
pub use watch::{RunEvent, RunEventKind, events_between};
