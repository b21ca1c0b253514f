//! The workflow engine in the database: which API level it speaks, how it is detected, installed and audited.

pub mod detect;
pub mod doctor;
pub mod facts;
pub mod install;
pub mod roles;
pub mod schema;
pub mod scripts;

pub use flowsmith_core::level::Level;
