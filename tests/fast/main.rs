//! The integration tests without a server: definitions, findings, diffs, migrations, pictures, documentation.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue should report the place")]

mod check;
mod graph;
mod migrate;
mod program;
mod security;
#[path = "../shared/mod.rs"]
#[allow(dead_code, reason = "each of the two test programs uses a part of it")]
mod shared;
mod snapshots;
