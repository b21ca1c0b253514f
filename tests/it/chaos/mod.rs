//! Killed processes and servers.

pub(crate) mod faults;
mod killed_commands;
mod server_killed;
mod worker_processes;
