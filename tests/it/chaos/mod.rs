//! Killed processes and servers.

pub(crate) mod faults;
mod server_killed;
mod worker_processes;
