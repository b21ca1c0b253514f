//! Attacks by the author of a repository, against a program that reads its files.

mod documented;
mod edited_migration;
mod encoding;
mod files;
mod fuzz;
mod linear;
mod redaction;
mod rights;
mod schemas;
mod transactions;
mod workflow;
