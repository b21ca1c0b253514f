//! Detection of transaction poolers.

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgListener, PgRow};

use super::DatabaseError;

/// The number of rounds.
const TURNS: u32 = 3;

/// Whether both connections lead to a pooler that assigns a server connection to each transaction. There, LISTEN would stay
/// behind on a server connection, and its notifications would reach the next client of that connection, which may not expect
/// them. So this must be known before LISTEN.
///
/// Without a pooler the two connections have two backends and keep them. A pooler hands out the most recently or the least
/// recently used backend; a few rounds reveal either.
///
/// # Errors
/// If one of the connections fails.
pub async fn uses_transaction_pooler(
    listener: &mut PgListener,
    connection: &mut PgConnection,
) -> Result<bool, DatabaseError> {
    let question = include_str!("backend.sql");
    let pid = |row: PgRow| row.try_get::<i32, _>("pid");
    let own = sqlx::raw_sql(question).fetch_one(&mut *listener).await.and_then(pid)?;
    for _ in 0..TURNS {
        for _ in 0..2 {
            if sqlx::raw_sql(question).fetch_one(&mut *connection).await.and_then(pid)? == own {
                return Ok(true);
            }
        }
        if sqlx::raw_sql(question).fetch_one(&mut *listener).await.and_then(pid)? != own {
            return Ok(true);
        }
    }
    Ok(false)
}
