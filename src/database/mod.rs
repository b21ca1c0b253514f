//! The connection to PostgreSQL: addresses, reconnecting, the lock, errors, and SQL with parameters.

mod error;
mod link;
mod lock;
mod pauses;
mod pooler;
pub(crate) mod sql_token;
mod statement;
mod target;
mod unclosed;
mod within;

pub use error::{DatabaseError, Failure};
pub(crate) use link::{Link, LinkEvent, Owner};
pub use lock::Holder;
pub(crate) use lock::{LOCK_KEY, Lock, take};
pub use pauses::Pauses;
pub(crate) use pooler::shares_backends;
pub use statement::Statement;
pub(crate) use statement::array;
pub use target::{Target, TargetError};
pub use unclosed::Unclosed;
pub(crate) use within::{unanswered, within};
