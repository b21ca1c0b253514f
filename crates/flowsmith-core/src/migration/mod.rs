//! Migrations: SQL files with a machine-readable plan of the change, which they verify after running.
//!
//! [`compile`] renders them, [`Folder`] reads and writes them, and [`replay`] computes the resulting catalog without a database.

mod compile;
mod file;
mod folder;
mod plan;
mod render;
mod replay;
mod sum;

pub use compile::{CompileError, CompileSettings, Compiled, MAX_CREATES, carry_over, compile};
pub use file::{Migration, Version};
pub use folder::{Folder, FolderError};
pub use replay::{ReplayError, deletions, replay};
pub use sum::{SUM_FILE, SumMismatch};
