//! The workflow engine in the database: which API level it speaks, how it is detected, installed and audited.

mod level;

pub use level::Level;
