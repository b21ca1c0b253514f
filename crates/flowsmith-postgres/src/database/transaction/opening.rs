//! The SQL that begins a transaction.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::settings::{SETTINGS, Use};

/// The first server with `transaction_timeout`.
const TRANSACTION_TIMEOUT: u32 = 170_000;

/// What a transaction may do, and what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It reads one snapshot.
    Snapshot,
    /// It reads and writes. Each statement sees what was committed before it.
    Write,
}

/// How a transaction begins: its access, its time limits and its settings. None of them depends on the defaults of the role,
/// the database or the server.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Opening {
    access: Access,
    lock_timeout: Duration,
    statement_timeout: Duration,
    is_frequent: bool,
}

impl Opening {
    /// A transaction that reads one snapshot, without time limits.
    pub const fn snapshot() -> Self {
        Self {
            access: Access::Snapshot,
            lock_timeout: Duration::ZERO,
            statement_timeout: Duration::ZERO,
            is_frequent: false,
        }
    }

    /// A transaction that reads and writes, without time limits.
    pub const fn write() -> Self {
        Self { access: Access::Write, ..Self::snapshot() }
    }

    /// Limits the wait for each lock; zero for no limit.
    pub const fn lock_timeout(self, limit: Duration) -> Self {
        Self { lock_timeout: limit, ..self }
    }

    /// Limits each statement; zero for no limit.
    pub const fn statement_timeout(self, limit: Duration) -> Self {
        Self { statement_timeout: limit, ..self }
    }

    /// Fixes only the settings on which calls of the engine's functions depend: these set their own `search_path` and write no
    /// dates, intervals or binary values as text. For the calls of a worker, each of which would be slower otherwise.
    pub const fn frequent(self) -> Self {
        Self { is_frequent: true, ..self }
    }

    /// Begins the transaction without an owner that ends it.
    pub(crate) async fn begin_raw(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let sql = self.sql(connection.server_version_num());
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
    }

    /// The statements, each with its semicolon. `server` is the version as in `server_version_num`.
    pub(super) fn sql(&self, server: Option<u32>) -> String {
        let mut sql = String::from(match self.access {
            Access::Snapshot => "begin isolation level repeatable read, read only;",
            Access::Write => "begin isolation level read committed, read write;",
        });
        for setting in SETTINGS.iter().filter(|setting| setting.used == Use::EveryCall || !self.is_frequent) {
            let _ = write!(sql, " set local {} = {};", setting.name, setting.value);
        }
        let _ = write!(sql, " set local lock_timeout = {};", self.lock_timeout.as_millis());
        let _ = write!(sql, " set local statement_timeout = {};", self.statement_timeout.as_millis());
        if server.is_some_and(|version| version >= TRANSACTION_TIMEOUT) {
            sql.push_str(" set local transaction_timeout = 0;");
        }
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_path_is_set_before_everything_else() {
        let sql = Opening::write().frequent().sql(None);
        let start = "begin isolation level read committed, read write; set local search_path = pg_catalog, pg_temp; ";
        assert!(sql.starts_with(start), "{sql}");
        assert!(Opening::snapshot().sql(None).starts_with("begin isolation level repeatable read, read only; "));
    }

    #[test]
    fn limits_are_set_even_if_there_are_none() {
        let sql = Opening::snapshot().statement_timeout(Duration::from_secs(10)).sql(Some(170_002));
        let end = "set local lock_timeout = 0; set local statement_timeout = 10000; set local transaction_timeout = 0;";
        assert!(sql.ends_with(end), "{sql}");
        assert!(!Opening::snapshot().sql(Some(160_009)).contains("transaction_timeout"));
    }
}
