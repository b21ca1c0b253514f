//! The integration tests that need a PostgreSQL server, in one program, so that it is linked once and one server serves
//! them all; see `fixture`. Those that need none are in `tests/fast`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod chaos;
mod check;
mod devserver;
mod engine;
mod fixture;
mod migrate;
mod operate;
mod pgq;
mod program;
#[path = "../shared/mod.rs"]
mod shared;
mod triggers;
mod worker;
