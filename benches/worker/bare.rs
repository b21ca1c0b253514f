//! Connections that only call the engine: take a batch, complete it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use tokio::task::JoinSet;

use crate::Args;
use crate::place::{Place, Shape};

const POLL: &str =
    "select run_id::text, step_slug, task_index, input::text from pgflow.poll_tasks('flow', $1::uuid, $2)";
const COMPLETE: &str = "select status from pgflow.complete_tasks($1::text[]::uuid[], $2, $3, $4::text[]::jsonb[])";

/// Tasks in a second.
pub(crate) async fn measure(place: &Place, args: &Args, shape: Shape) -> f64 {
    let tasks = place.fill("measured", shape, args.tasks / shape.tasks_of_a_run(), false).await;
    let finished = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::new();
    for _ in 0..args.connections {
        let mut c = place.connect("measured").await;
        let register = "insert into pgflow.workers (worker_id, queue_name, function_name) \
                        values (gen_random_uuid(), 'flow', 'bare') returning worker_id::text";
        let id: String = sqlx::query_scalar(register).fetch_one(&mut c).await.expect("a row");
        connections.push((c, id));
    }
    let began = Instant::now();
    let mut working = JoinSet::new();
    for (c, id) in connections {
        working.spawn(work(c, id, args.batch as i32, tasks, Arc::clone(&finished)));
    }
    while let Some(ended) = working.join_next().await {
        ended.expect("it works");
    }
    let rate = tasks as f64 / began.elapsed().as_secs_f64();
    place.assert_done("measured", tasks).await;
    rate
}

async fn work(mut c: PgConnection, id: String, batch: i32, tasks: usize, finished: Arc<AtomicUsize>) {
    while finished.load(Ordering::Relaxed) < tasks {
        let rows = sqlx::query(POLL).bind(&id).bind(batch).fetch_all(&mut c).await.expect("tasks");
        if rows.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        sqlx::query(COMPLETE)
            .bind(rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.get::<String, _>(1)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.get::<i32, _>(2)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| format!("{{\"read\": {}}}", row.get::<String, _>(3).len())).collect::<Vec<_>>())
            .fetch_all(&mut c)
            .await
            .expect("an answer");
        finished.fetch_add(rows.len(), Ordering::Relaxed);
    }
}
