//! Workers for pgflow flows: they claim tasks, run handlers, and report the results to the engine.
//!
//! A program embeds a worker with [`Worker::builder`]:
//!
//! ```no_run
//! use flowsmith_worker::{HandlerError, Target, Worker};
//! use serde_json::Value;
//!
//! async fn work() -> Result<(), Box<dyn std::error::Error>> {
//!     let target: Target = "postgres://localhost/shop".parse()?;
//!     let worker = Worker::builder()
//!         .flow("order")
//!         .step("load", |order: Value, _| async move { Ok(order["items"].clone()) })
//!         .step("ship", |input: Value, context| async move {
//!             let address = input["load"].as_str().ok_or_else(|| HandlerError::permanent("no address"))?;
//!             Ok(format!("{} to {address}", context.run_id))
//!         })
//!         .observe(|event| eprintln!("{event}"))
//!         .connect(&target)
//!         .await?;
//!     worker.run(async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await?;
//!     Ok(())
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work())
//! }
//! ```
//!
//! [`Service`] is what `flowsmith worker` runs: a worker for the handlers that flow files declare, and the [`triggers`] runner.
//!
//! # Architecture
//!
//! ```text
//! Builder::connect        preflight checks: engine, flows, steps, handlers             builder, preflight
//!    │
//!    ▼
//! Worker::run             registers, then runs these parts concurrently:               worker
//!    ├─ connection loops  one connection each: claim tasks, report results              connection_loop, acknowledge
//!    ├─ handlers          one tokio task each, with a timeout                           execute, handler, declared
//!    ├─ listener          notifications announce tasks                                  listener
//!    ├─ maintenance       heartbeat, polling, recovery, periodic checks                 maintenance, periodic_checks
//!    └─ endpoint          metrics and health, if configured                             metrics
//!         all of them share the state of the worker                                     shared
//!            dispatcher         assigns jobs to the connection loops                    dispatcher
//!            connection health  whether the database answers                            connection_health
//!            services           engine calls, connections of `sql` handlers             services, engine, sql_connections
//! ```
//!
//! Modules depend on each other in one direction: `outcome`, `event`, `error` ← `engine` ← `services` ← `handler` ← `flow` ← `task` ←
//! `dispatcher` ← `shared` ← the concurrent parts ← `worker` ← `builder` ← `service`.

mod acknowledge;
mod builder;
mod connection;
mod connection_health;
mod connection_loop;
mod declared;
mod dispatcher;
mod engine;
mod error;
mod event;
mod execute;
mod flow;
mod handler;
mod listener;
mod maintenance;
mod metrics;
mod outcome;
mod periodic_checks;
mod preflight;
mod secrets;
mod service;
mod services;
mod shared;
mod sql_connections;
mod task;
pub mod triggers;
mod worker;

pub use builder::Builder;
pub use error::WorkerError;
pub use event::{Event, TaskName};
pub use handler::Context;
pub use metrics::{METRICS, Metric, MetricKind};
pub use outcome::HandlerError;
pub use secrets::secrets_of;
pub use service::{Service, ServiceEvent, ServiceOptions, requests_only_valid_flows};
pub use worker::Worker;

pub use flowsmith_core::catalog::FlowId;
pub use flowsmith_core::redact::Redactor;
pub use flowsmith_postgres::database::{DatabaseError, Target, TargetError};
