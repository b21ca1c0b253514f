//! The pure part of flowsmith: everything between flow files, migrations and the database, without any I/O but reading files.

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
