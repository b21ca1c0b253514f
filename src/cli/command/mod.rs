//! One file per command: it calls the library, renders the report and chooses the exit code.

pub(super) mod apply;
pub(super) mod bench;
pub(super) mod check;
pub(super) mod compile;
pub(super) mod doctor;
pub(super) mod drift;
pub(super) mod explain;
pub(super) mod graph;
pub(super) mod init;
pub(super) mod install;
pub(super) mod operate;
pub(super) mod plan;
pub(super) mod pull;
pub(super) mod status;
pub(super) mod up;
pub(super) mod worker;
