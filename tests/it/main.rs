//! All integration tests, in one program, so that it is linked once and one PostgreSQL server serves them all; see
//! `support`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod catalogs;
mod check_cases;
mod check_files;
mod cli_docs;
mod desired_catalog;
mod engine_definitions;
mod engine_detect;
mod engine_doctor;
mod engine_install;
mod examples;
mod findings_docs;
mod formats;
mod hostile_input;
mod laws;
mod official;
mod program;
mod properties;
mod readme;
mod report_schemas;
mod server;
mod settings;
mod support;
