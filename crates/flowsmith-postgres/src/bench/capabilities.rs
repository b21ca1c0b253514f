//! Detects the functions of an engine that the benchmark needs.

use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use super::BenchError;
use crate::database::transaction::{Opening, send};

/// A row of `capabilities.sql`.
#[derive(Debug, FromRow)]
pub(super) struct Capabilities {
    /// Missing functions for running flows.
    pub(super) runtime_lacks: Vec<String>,
    /// Missing functions for batches.
    pub(super) batch_lacks: Vec<String>,
    /// Whether the engine can delete a flow with its data.
    pub(super) deletes_flows: bool,
    /// Whether the database sends events as notifications.
    pub(super) notifies: bool,
    /// The name prefix of the flows of this benchmark.
    pub(super) prefix: String,
    /// Flows of other benchmarks.
    pub(super) others: Vec<String>,
    /// The process id of the backend.
    pub(super) backend: i32,
}

impl Capabilities {
    /// Detects them in one round trip.
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, BenchError> {
        let rows = send(connection, Opening::snapshot(), include_str!("capabilities.sql")).await?;
        Ok(Self::from_row(rows.first().ok_or(sqlx::Error::RowNotFound)?)?)
    }
}
