//! All integration tests, in one program, so that one PostgreSQL server serves them all; see `support`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod engine_definitions;
mod engine_detect;
mod engine_doctor;
mod engine_install;
mod official;
mod server;
mod support;
