//! Deletes the flows and workers of the benchmark.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::BenchError;
use super::capabilities::Capabilities;
use crate::database::transaction::{Opening, Transaction, send};
use flowsmith_core::sql::quote::literal;

/// Deletes every flow and the workers of this benchmark.
pub(super) async fn everything(connection: &mut PgConnection, capabilities: &Capabilities) -> Result<(), BenchError> {
    let prefix = literal(&capabilities.prefix);
    let flows = format!("select f.flow_slug from pgflow.flows f where starts_with(f.flow_slug, {prefix})");
    for row in send(connection, Opening::snapshot(), &flows).await? {
        delete(connection, capabilities, row.try_get("flow_slug")?).await?;
    }
    let workers = format!("delete from pgflow.workers w where w.function_name = {prefix}");
    send(connection, Opening::write(), &workers).await?;
    Ok(())
}

/// Deletes one flow with its runs and its queue, also if the engine has no function for that.
pub(super) async fn delete(
    connection: &mut PgConnection,
    capabilities: &Capabilities,
    flow: &str,
) -> Result<(), BenchError> {
    let mut transaction = Transaction::begin(connection, Opening::write()).await?;
    if capabilities.deletes_flows {
        transaction.query("select pgflow.delete_flow_and_data($1)").bind(flow).execute().await?;
    } else {
        transaction.query(include_str!("clean.sql")).bind(flow).execute().await?;
        transaction.query("select pgmq.drop_queue($1)").bind(flow).execute().await?;
    }
    Ok(transaction.commit().await?)
}
