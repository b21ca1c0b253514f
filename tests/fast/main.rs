//! The integration tests that need no server: definitions, findings, diffs, migrations, pictures, documentation.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod check;
mod graph;
mod migrate;
mod program;
#[path = "../shared/mod.rs"]
#[allow(dead_code, reason = "each of the two programs uses a part of it")]
mod shared;
mod snapshots;
