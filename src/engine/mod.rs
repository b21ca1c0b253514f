//! The workflow engine in the database: API levels, detection, installation, roles and audit.

pub mod detect;
pub mod doctor;
pub mod facts;
pub mod install;
mod level;
pub mod roles;
pub mod schema;
pub mod scripts;

pub use level::Level;
