//! Migrations: SQL files that carry a change, say in a machine-readable plan what is meant, and check themselves.
//!
//! [`compile`] writes them, [`Folder`] reads them, [`replay`] turns a folder back into a catalog without a database.

mod compilation;
mod compile;
mod file;
mod folder;
mod plan;
mod render;
mod replay;
mod sum;

pub use compilation::{Compilation, CompileOptions, Repairs, Replacement, compile_project};
pub use compile::{CompileError, CompileSettings, Compiled, MAX_CREATES, carry_over, compile};
pub use file::{Migration, Version};
pub use folder::{Folder, FolderError};
pub use replay::{ReplayError, deletions, replay};
pub use sum::{SUM_FILE, SumMismatch};
