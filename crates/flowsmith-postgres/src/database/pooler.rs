//! Whether connections lead to a pooler.

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgListener, PgRow};

use super::DatabaseError;

/// How often to look.
const TURNS: u32 = 3;

/// Whether both connections lead to a pooler that gives each transaction any of its own. LISTEN would stay behind in one of
/// them, and its notifications come to whoever is given that one next, who may break on them: so this is found out before.
///
/// Two connections without a pooler have two backends, and keep them. A pooler gives out the one that was used last, or
/// the one that was not for longest; in a few turns either is seen.
///
/// # Errors
/// Where one of the connections fails.
pub async fn shares_backends(listener: &mut PgListener, connection: &mut PgConnection) -> Result<bool, DatabaseError> {
    let question = include_str!("backend.sql");
    let pid = |row: PgRow| row.try_get::<i32, _>(0);
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
