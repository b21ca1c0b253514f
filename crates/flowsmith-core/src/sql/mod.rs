//! SQL as text: tokens, quoting, and statements with named parameters.

pub mod quote;
mod statement;
pub mod token;
mod unterminated;

pub use statement::{Statement, array};
pub use unterminated::Unterminated;
