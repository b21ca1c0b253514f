//! The integration tests that need a PostgreSQL server. They are one program, which is linked once, and share one server;
//! see `fixture`. The tests without a server are in `tests/fast`.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue should report the place")]

mod chaos;
mod check;
mod devserver;
mod engine;
mod fixture;
mod migrate;
mod operate;
mod program;
mod security;
#[path = "../shared/mod.rs"]
mod shared;
mod triggers;
mod worker;
