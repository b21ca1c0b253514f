//! The server is killed repeatedly while a worker runs: `sql` handlers take effect exactly once, and every run ends.

use std::time::{Duration, Instant};

use flowsmith_postgres::database::Target;
use flowsmith_postgres::engine::install::{InputStyle, install};
use flowsmith_worker::Worker;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::worker::WAIT_TIMEOUT;
use crate::worker::declared::declared;
use crate::worker::restartable::Restartable;

/// Every committed query inserts a row into `done`.
const DEFINITIONS: &str = "create table done (run_id uuid not null, step text not null, place integer);
     select pgflow.create_flow('f', max_attempts => 20, base_delay => 0); select pgflow.add_step('f', 'a');
     select pgflow.add_step('f', 'b', '{a}', step_type => 'map'); select pgflow.add_step('f', 'c', '{b}')";

const FILE: &str = r#"flow: f
defaults: { max_attempts: 20, base_delay: 0 }
steps:
  a: { handler: { sql: "insert into done values (:run_id, 'a') returning '[1, 2, 3]'::json" } }
  b: { map: a, handler: { sql: "insert into done values (:run_id, 'b', (:input)::integer) returning place" } }
  c: { depends_on: [b], handler: { sql: "insert into done values (:run_id, 'c') returning 1" } }
"#;

const RUNS: usize = 120;

async fn value(connection: &mut PgConnection, sql: &str) -> Result<String, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(format!("select ({sql})::text"))).fetch_one(connection).await?.try_get(0)
}

#[tokio::test]
async fn sql_handlers_run_exactly_once_while_the_server_is_killed() {
    let mut server = Restartable::start("killed_under_a_worker").await;
    install(&server.options(), InputStyle::Separate).await.unwrap();
    let mut c = server.connect().await;
    sqlx::raw_sql(DEFINITIONS).execute(&mut c).await.unwrap();
    let target = Target::new(server.options());
    let worker = declared(Worker::builder().connections(2).concurrency(8).batch(4), FILE, &[]);
    let worker = worker.connect(&target).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let working = tokio::spawn(worker.run(async move { stopped.await.unwrap_or(()) }));
    let start =
        format!("select count(r.run_id) from generate_series(1, {RUNS}) n, pgflow.start_flow('f', to_jsonb(n)) r");
    sqlx::raw_sql(AssertSqlSafe(start)).execute(&mut c).await.unwrap();

    for kill in 1..=3 {
        // After each part of the work.
        let deadline = Instant::now() + WAIT_TIMEOUT;
        let part = format!("(select count(*) from done) > {}", kill * RUNS);
        while value(&mut c, &part).await.unwrap() != "true" {
            assert!(Instant::now() < deadline, "the worker makes no progress");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.kill().await;
        server.restart().await;
        c = server.connect().await;
    }

    // Tasks claimed at the moment of a kill may be stalled, so their timestamps are moved back for the recovery.
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while value(&mut c, "select count(*) from pgflow.runs where status <> 'completed'").await.unwrap() != "0" {
        let stall = "update pgflow.step_tasks set queued_at = queued_at - interval '1 second', started_at = started_at - interval '1 second'
                     where status = 'started'";
        sqlx::raw_sql(stall).execute(&mut c).await.unwrap();
        assert!(Instant::now() < deadline, "some runs do not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let _ = stop.send(());
    tokio::time::timeout(WAIT_TIMEOUT, working).await.unwrap().unwrap().unwrap();
    let twice = "select count(*) from (select from done group by run_id, step, place having count(*) > 1) twice";
    assert_eq!(value(&mut c, twice).await.unwrap(), "0");
    assert_eq!(value(&mut c, "select count(*) from done").await.unwrap(), (RUNS * 5).to_string());
    assert_eq!(value(&mut c, "select count(*) from pgflow.violations()").await.unwrap(), "0");
}
