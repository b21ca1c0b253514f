//! Triggers that need a running process: schedules of databases without pg_cron, and queues whose events start runs.
//!
//! A [`Runner`] runs both. Any number of processes may run triggers at the same time: each scheduled time and each event starts
//! one run.

mod queues;
mod runner;
mod schedules;

pub use queues::{
    Batch, FailedEvent, MAX_ATTEMPTS, QueueTrigger, UnregisteredConsumer, clean_up, consume, queue_triggers,
};
pub use runner::{Runner, TriggerEvent};
pub use schedules::{DueRuns, FailedScheduledRun, MAX_PAUSE, ScheduledRun, start_due_runs};
