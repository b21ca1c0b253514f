//! Migrations: SQL files with a machine-readable plan of the change, which they verify after running.
//!
//! [`compile`] renders them, [`Folder`] reads and writes them, and [`replay`] computes the resulting catalog without a database.

mod compile;
mod difference;
mod file;
mod folder;
mod json_layout;
mod plan;
mod render;
mod replay;
mod states;
mod sum;
mod verify;

pub use compile::{CompileError, CompileSettings, Compiled, MAX_CREATES, carry_over, compile};
pub use file::{Migration, Version};
pub use folder::{Edits, Folder, FolderError};
pub use replay::{ReplayError, changed, deletions, replay};
pub use sum::{SUM_FILE, SumMismatch};
pub use verify::verify;
