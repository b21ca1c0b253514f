//! The connection to PostgreSQL: addresses, reconnecting, the lock, errors, and SQL with parameters.

mod error;
mod link;
mod lock;
mod pauses;
mod pooler;
pub(crate) mod sql;
mod target;
mod within;

pub use error::{DatabaseError, Failure};
pub use link::{Link, LinkEvent, Owner};
pub use lock::LockHolder;
pub(crate) use lock::{LOCK_KEY, Lock, acquire_lock};
pub use pauses::Pauses;
pub use pooler::uses_transaction_pooler;
pub use target::{Target, TargetError};
pub use within::{unanswered, within};
