//! flowsmith on PostgreSQL: reads, plans, applies, and operates flows in a live database.

pub mod apply;
pub mod bench;
pub mod compile;
pub mod database;
pub mod deploy;
pub mod drift;
pub mod engine;
pub mod introspection;
pub mod ledger;
pub mod plan;
pub mod pull;
pub mod retire;
pub mod runs;
pub mod session;
pub mod status;
