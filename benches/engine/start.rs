//! How fast runs are started.

use std::time::Instant;

use sqlx::postgres::PgConnection;

use crate::args::Args;
use crate::contender::Contender;
use crate::flow::define;
use crate::process::{Measured, backend, cpu, millis_each, wal};
use crate::server::Place;
use crate::shape::Shape;
use crate::sql::run;

const DATABASE: &str = "starting";

/// Each connection starts its share of runs of one step, one call a round trip.
pub(crate) async fn measure(place: &Place, args: &Args, contender: Contender) -> Measured {
    let mut connection = place.database(contender, DATABASE).await;
    define(&mut connection, contender, Shape::Single, "flow").await;
    run(&mut connection, "vacuum analyze").await;
    let (mut connections, mut backends) = (Vec::new(), Vec::new());
    for _ in 0..args.workers {
        let mut connection = place.connect(DATABASE).await;
        backends.push(backend(&mut connection).await);
        connections.push(connection);
    }
    let share = args.tasks() / args.workers;
    let runs = share * args.workers;
    let warm_up = 50;
    let (connections, _) = start(connections, warm_up).await;

    let before = wal(&mut connection).await;
    let cpu_before = cpu(&backends);
    let began = Instant::now();
    let (connections, started) = start(connections, share).await;
    let took = began.elapsed();
    let (wal, cpu) = (wal(&mut connection).await - before, cpu(&backends));

    assert_eq!(started, runs);
    let expected = (runs + warm_up * args.workers) as i64;
    let counts: (i64, i64) =
        sqlx::query_as("select (select count(*) from pgflow.runs), (select count(*) from pgmq.q_flow)")
            .fetch_one(&mut connection)
            .await
            .expect("counts");
    assert_eq!(counts, (expected, expected), "{}: runs and messages", contender.name());
    drop((connection, connections));
    place.drop(DATABASE).await;
    Measured {
        rate: runs as f64 / took.as_secs_f64(),
        wal: wal as f64 / runs as f64,
        cpu: millis_each(cpu_before, cpu, runs),
    }
}

/// Gives the connections back, and how many runs were started.
async fn start(connections: Vec<PgConnection>, share: usize) -> (Vec<PgConnection>, usize) {
    let starting: Vec<_> =
        connections.into_iter().map(|connection| tokio::spawn(start_share(connection, share))).collect();
    let (mut connections, mut started) = (Vec::new(), 0);
    for connection in starting {
        let (connection, count) = connection.await.expect("a connection ends in order");
        connections.push(connection);
        started += count;
    }
    (connections, started)
}

async fn start_share(mut connection: PgConnection, share: usize) -> (PgConnection, usize) {
    let mut started = 0;
    for number in 0..share {
        let sql = "select status from pgflow.start_flow($1, $2::jsonb)";
        let rows = sqlx::query(sql)
            .bind("flow")
            .bind(format!("{{\"order\": {number}, \"customer\": \"c-123\"}}"))
            .fetch_all(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("start_flow: {error}"));
        started += rows.len();
    }
    (connection, started)
}
