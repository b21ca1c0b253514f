//! The connection to PostgreSQL: where it goes, how it is made, and what its failures mean to a user.

mod error;
mod listener;
mod lock;
mod pauses;
mod pooler;
mod statement;
mod target;

pub use error::{DatabaseError, Failure};
pub(crate) use listener::listener;
pub use lock::Holder;
pub(crate) use lock::{LOCK_KEY, Lock, take};
pub use pauses::Pauses;
pub(crate) use pooler::shares_backends;
pub(crate) use statement::array;
pub use statement::{Statement, Unclosed};
pub use target::{Target, TargetError};
