//! The connection to PostgreSQL: where it goes, how it is made, and what its failures mean to a user.

mod error;
mod target;

pub use error::{DatabaseError, Failure};
pub use target::{Target, TargetError};
