//! The workflow engine in the database: API levels, detection, installation, roles and audit.

pub mod detect;
pub mod doctor;
pub mod facts;
pub mod install;
pub mod roles;
pub mod schema;
pub mod scripts;

use std::sync::LazyLock;

use crate::database::sql::{Templates, templates};

pub use flowsmith_core::level::Level;

static TEMPLATES: LazyLock<Templates> = templates![
    "../../templates": "begin_script.sql", "check_script.sql", "end_script.sql", "install.sql", "grants.sql", "schema.sql",
];
