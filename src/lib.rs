//! flowsmith: flows as code for PostgreSQL.
//!
//! The way of the data is the layout:
//!
//! ```text
//! flows/*.yaml|toml ─ source → Node ─ definition → FlowFile ─ check → Catalog (desired) ┐
//! migrations/*.sql  ─ migration::replay ─────────────────→ Catalog (recorded)           ├─ diff → ChangeSet ─ plan → Plan ─ migration::render → SQL
//! PostgreSQL        ─ live::read_snapshot ───────────────→ Catalog (live)               ┘                                   │
//! PostgreSQL ←──────────────────────────────── apply: lock, guard, run, verify, record ←────────────────────────────────────┘
//! PostgreSQL ←── worker: takes tasks of flows, has their handlers do them, tells what came of it
//! ```
//!
//! Runs of these flows are [`operate`]d: started, looked at, mended.
//!
//! Everything between the files and the database is synchronous and pure; I/O stands at both ends only.

pub mod apply;
pub mod bench;
pub mod catalog;
pub mod check;
pub mod config;
pub mod database;
pub mod definition;
pub mod diff;
pub mod drift;
pub mod engine;
pub mod finding;
pub mod graph;
pub mod intake;
pub mod ledger;
pub mod live;
pub mod migration;
pub mod operate;
pub mod plan;
pub mod pull;
pub mod report;
pub mod schedule;
pub mod server;
pub mod source;
pub mod starter;
pub mod worker;
