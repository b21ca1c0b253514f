//! The program from the outside: connections, settings, output.

pub(crate) mod bench;
pub(crate) mod closed_stdout;
pub(crate) mod connecting;
pub(crate) mod connections;
pub(crate) mod graph;
pub(crate) mod json_stdout;
pub(crate) mod readme;
pub(crate) mod settings;
pub(crate) mod up;
