//! Killed processes and servers.

pub(crate) mod faults;
