//! Triggers that need a running process: schedules without pg_cron, events of queues, and the loop that runs both.

pub mod queues;
pub mod runner;
pub mod schedules;
