//! Commands that operate flows.

mod follow;
mod operator;
pub(crate) mod runs;
pub(crate) mod show;
pub(crate) mod start;
pub(crate) mod watch;
