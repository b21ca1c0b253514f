//! The engine in the database.

pub(crate) mod completing;
pub(crate) mod concurrency;
pub(crate) mod conditions;
pub(crate) mod definitions;
pub(crate) mod detect;
pub(crate) mod differences;
pub(crate) mod differential;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod failing;
pub(crate) mod install;
pub(crate) mod model;
pub(crate) mod operations;
pub(crate) mod pgmq_versions;
pub(crate) mod plpgsql;
pub(crate) mod recovery;
pub(crate) mod roles;
pub(crate) mod roles_install;
pub(crate) mod starting;
pub(crate) mod state_machine;
pub(crate) mod tasks;
pub(crate) mod upgrade;
