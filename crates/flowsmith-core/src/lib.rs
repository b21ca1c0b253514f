//! The core of flowsmith: flow files, their check, catalogs, diffs and migrations. It does no I/O other than reading and writing
//! files.

pub mod catalog;
pub mod check;
pub mod config;
pub mod cron;
pub mod definition;
pub mod diagnostic;
pub mod diff;
pub mod finding;
pub mod level;
pub mod migration;
pub mod project;
pub mod source;
pub mod sql;
pub mod words;

pub use catalog::{digest, sha256_hex};
