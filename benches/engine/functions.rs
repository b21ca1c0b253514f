//! Where the time goes: the functions of a database by the time that is spent in themselves.

use std::time::Duration;

use sqlx::postgres::PgConnection;

use crate::contender::Contender;
use crate::shape::Shape;

/// Workers report when they end, which takes them a moment.
const A_MOMENT: Duration = Duration::from_millis(500);

/// Prints them: calls, and milliseconds of a call without those that it makes itself, and with them.
pub(crate) async fn print(connection: &mut PgConnection, contender: Contender, shape: Shape) {
    tokio::time::sleep(A_MOMENT).await;
    let functions: Vec<(String, i64, f64, f64)> =
        sqlx::query_as(include_str!("functions.sql")).fetch_all(connection).await.expect("what functions took");
    eprintln!(
        "{}, {shape:?}: calls, ms of a call itself, with what it calls; starts and warm-up included",
        contender.name()
    );
    for (name, calls, itself, total) in functions {
        eprintln!("  {name:40} {calls:>8} {itself:>9.3} {total:>9.3}");
    }
}
