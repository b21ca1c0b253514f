//! The calls to the engine, by subject. Each is one round trip without prepared statements, so that it works behind any pooler.

mod call;
mod capabilities;
mod queues;
mod statements;
mod steps;
mod tasks;
mod workers;

pub(crate) use capabilities::Engine;
pub(crate) use queues::QueueStatus;
pub(crate) use steps::{StepOptions, StepsByFlow};
pub(crate) use tasks::{ClaimedTask, CompletionStatus, ReturnOptions, TaskId};
