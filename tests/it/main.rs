//! All integration tests, in one program, so that it is linked once and one PostgreSQL server serves them all; see
//! `support`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod applying;
mod bench_command;
mod catalogs;
mod check_cases;
mod check_files;
mod cli_docs;
mod command;
mod connections;
mod desired_catalog;
mod differential;
mod drift_and_plan;
mod engine_definitions;
mod engine_detect;
mod engine_differences;
mod engine_doctor;
mod engine_install;
mod examples;
mod findings_docs;
mod formats;
mod hazards;
mod hostile_input;
mod hostile_values;
mod laws;
mod migration_cases;
mod official;
mod program;
mod properties;
mod pull;
mod readme;
mod report_schemas;
mod road;
mod safety;
mod server;
mod settings;
mod support;
mod up;
