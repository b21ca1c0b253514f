//! The connection to PostgreSQL: addresses, reconnecting, the lock, errors, SQL with parameters, and
//! [hermetic transactions](transaction).

mod backoff;
mod error;
mod lock;
mod pooler;
mod reconnecting;
pub(crate) mod sql;
mod target;
mod timeout;
pub mod transaction;

pub use backoff::Backoff;
pub use error::{DatabaseError, Failure};
pub use lock::LockHolder;
pub(crate) use lock::{LOCK_KEY, Lock, LockObject, acquire_lock};
pub use pooler::uses_transaction_pooler;
pub use reconnecting::{ConnectionEvent, Observer, ReconnectingConnection};
pub use target::{Target, TargetError};
pub use timeout::{timed_out, with_timeout};
pub use transaction::{Opening, Transaction};
