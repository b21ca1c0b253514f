//! Deletes the flows and workers of the benchmark.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::BenchError;
use super::capabilities::Capabilities;

/// Deletes every flow and the workers of this benchmark.
pub(super) async fn everything(connection: &mut PgConnection, capabilities: &Capabilities) -> Result<(), BenchError> {
    let flows: Vec<String> =
        sqlx::query_scalar("select f.flow_slug from pgflow.flows f where starts_with(f.flow_slug, $1)")
            .bind(&capabilities.prefix)
            .fetch_all(&mut *connection)
            .await?;
    for flow in flows {
        delete(connection, capabilities, &flow).await?;
    }
    sqlx::query("delete from pgflow.workers w where w.function_name = $1")
        .bind(&capabilities.prefix)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes one flow with its runs and its queue, also if the engine has no function for that.
pub(super) async fn delete(
    connection: &mut PgConnection,
    capabilities: &Capabilities,
    flow: &str,
) -> Result<(), BenchError> {
    if capabilities.deletes_flows {
        sqlx::query("select pgflow.delete_flow_and_data($1)").bind(flow).execute(connection).await?;
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query(include_str!("clean.sql")).bind(flow).execute(&mut *transaction).await?;
    sqlx::query("select pgmq.drop_queue($1)").bind(flow).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}
