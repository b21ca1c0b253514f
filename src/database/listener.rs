//! Connections that listen for notifications.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{DatabaseError, Failure, Target};

/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that listens for notifications, of no channel yet: sqlx makes one out of a pool only, here of one connection.
///
/// # Errors
/// Where the server cannot be reached within 10 s, or refuses the user.
pub(crate) async fn listener(target: &Target) -> Result<PgListener, DatabaseError> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
    let pool = pool.connect_lazy_with(target.options().clone());
    PgListener::connect_with(&pool).await.map_err(|error| match error {
        // A pool tries again by itself while nobody is there, and then does not say so.
        sqlx::Error::PoolTimedOut => DatabaseError::new(
            Failure::Unreachable,
            format!("cannot connect to {target}: no answer within {} s", PATIENCE.as_secs()),
        ),
        error => DatabaseError::connecting(target.to_string(), error),
    })
}
