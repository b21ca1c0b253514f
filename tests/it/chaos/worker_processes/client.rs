//! A client that repeats its statements until the database answers.

use std::time::{Duration, Instant};

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::PROGRESS_TIMEOUT;
use crate::chaos::faults::is_cut;
use crate::engine::concurrency::operators::Random;
use crate::engine::concurrency::query as run_query;

/// A client that connects by one of several routes, and chooses again after every loss.
pub(super) struct Client {
    routes: Vec<PgConnectOptions>,
    random: Random,
    connection: Option<PgConnection>,
}

impl Client {
    pub(super) fn new(routes: &[PgConnectOptions], random: Random) -> Self {
        Self { routes: routes.to_vec(), random, connection: None }
    }

    /// Runs idempotent statements until they succeed, and returns the result.
    pub(super) async fn query(&mut self, sql: &str) -> String {
        let deadline = Instant::now() + PROGRESS_TIMEOUT;
        loop {
            let route = &self.routes[self.random.below(self.routes.len())];
            let error = match &mut self.connection {
                Some(connection) => match run_query(connection, sql).await {
                    Ok(answer) => return answer,
                    Err(error) => error,
                },
                None => match route.connect().await {
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

    /// The single number that a query returns.
    pub(super) async fn count(&mut self, sql: &str) -> usize {
        let answer = self.query(sql).await;
        answer.parse().unwrap_or_else(|_| panic!("{sql}: {answer}"))
    }
}
