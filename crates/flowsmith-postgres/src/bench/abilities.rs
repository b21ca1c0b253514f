//! What the engine of a database can do.

use sqlx::postgres::PgConnection;
use sqlx::{FromRow, query_as};

use super::BenchError;

/// What `abilities.sql` finds.
#[derive(Debug, FromRow)]
pub(super) struct Abilities {
    /// Functions for running flows that are not there.
    pub(super) runtime_lacks: Vec<String>,
    /// Functions for batches that are not there.
    pub(super) batch_lacks: Vec<String>,
    /// Whether it can delete a flow with its data.
    pub(super) deletes_flows: bool,
    /// Whether events go out as notifications.
    pub(super) notifies: bool,
    /// What this bench's flows begin with.
    pub(super) prefix: String,
    /// Flows of other benches.
    pub(super) others: Vec<String>,
    /// The server's process that answered.
    pub(super) backend: i32,
}

impl Abilities {
    /// Asks, in one round trip.
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, BenchError> {
        Ok(query_as(include_str!("abilities.sql")).fetch_one(connection).await?)
    }
}
