//! The connections of `sql` handlers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use crate::outcome::Unavailable;
use flowsmith_postgres::database::{Backoff, Target};

/// A pool of connections for `sql` handlers. The dispatcher limits how many are in use.
pub(crate) struct SqlConnections {
    target: Target,
    pool: Mutex<Pool>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<PgConnection>,
    backoff: Backoff,
    /// After a failed attempt to connect, no other attempt is made before this time.
    closed_until: Option<Instant>,
}

/// A connection of the pool, without an open transaction.
pub(crate) struct PooledConnection {
    pub(crate) connection: PgConnection,
    /// Whether an earlier handler has used it, so that it may have been lost since.
    pub(crate) was_used: bool,
}

impl SqlConnections {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, pool: Mutex::default() }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection, or a new one.
    pub(crate) async fn acquire(&self) -> Result<PooledConnection, Unavailable> {
        let (idle, pause) = {
            let mut pool = self.pool();
            let now = Instant::now();
            let pause = pool.closed_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            (pool.idle.pop(), pause)
        };
        match idle {
            Some(connection) => Ok(PooledConnection { connection, was_used: true }),
            None if !pause.is_zero() => Err(Unavailable { error: None, pause }),
            None => match self.target.connect().await {
                Ok(connection) => Ok(PooledConnection { connection, was_used: false }),
                Err(error) => Err(self.record_failure(error.to_string())),
            },
        }
    }

    /// Records a failed attempt to connect, which closes the pool for a while.
    pub(crate) fn record_failure(&self, error: String) -> Unavailable {
        let mut pool = self.pool();
        let now = Instant::now();
        let until = match pool.closed_until.filter(|until| *until > now) {
            // Simultaneous failures count as one.
            Some(until) => until,
            None => now + pool.backoff.failed(),
        };
        pool.closed_until = Some(until);
        Unavailable { error: Some(error), pause: until - now }
    }

    /// Records that a new connection works.
    pub(crate) fn record_success(&self) {
        let mut pool = self.pool();
        pool.backoff.connected();
        pool.closed_until = None;
    }

    /// Makes a connection available to other handlers. It must not have an open transaction or changed session state.
    pub(crate) fn release(&self, connection: PgConnection) {
        self.pool().idle.push(connection);
    }

    /// Drops the idle connections: if one was lost, the others usually are as well.
    pub(crate) fn clear(&self) {
        self.pool().idle.clear();
    }
}
