//! Somebody who asks the database whatever happens to the connection.

use std::time::{Duration, Instant};

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::PATIENCE;
use crate::chaos::faults::is_cut;
use crate::engine::concurrency::operators::Dice;
use crate::engine::concurrency::query;

/// A client that comes in by any of several doors, and by another one after a connection was lost.
pub(super) struct Client {
    doors: Vec<PgConnectOptions>,
    dice: Dice,
    connection: Option<PgConnection>,
}

impl Client {
    pub(super) fn new(doors: &[PgConnectOptions], dice: Dice) -> Self {
        Self { doors: doors.to_vec(), dice, connection: None }
    }

    /// What `query` gives of statements that may be repeated: they are, until an answer has come.
    pub(super) async fn ask(&mut self, sql: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let door = &self.doors[self.dice.throw(self.doors.len())];
            let error = match &mut self.connection {
                Some(connection) => match query(connection, sql).await {
                    Ok(answer) => return answer,
                    Err(error) => error,
                },
                None => match door.connect().await {
                    Ok(connection) => {
                        self.connection = Some(connection);
                        continue;
                    }
                    Err(error) => error.to_string(),
                },
            };
            assert!(self.connection.is_none() || is_cut(&error), "{sql}: {error}");
            assert!(Instant::now() < deadline, "{sql}: still {error}");
            self.connection = None;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The one number that a query gives.
    pub(super) async fn count(&mut self, sql: &str) -> usize {
        let answer = self.ask(sql).await;
        answer.parse().unwrap_or_else(|_| panic!("{sql}: {answer}"))
    }
}
