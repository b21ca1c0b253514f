//! A worker whose handlers do nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use flowsmith_postgres::database::Target;
use flowsmith_worker::{Event, Worker};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::Args;
use crate::place::{Place, Shape};

/// Tasks in a second, from its start to the last completion.
pub(crate) async fn measure(place: &Place, args: &Args, shape: Shape) -> f64 {
    let tasks = place.fill("measured", shape, args.tasks / shape.tasks_of_a_run(), false).await;
    let (finished, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (counted, done) = (Arc::clone(&finished), Arc::clone(&all));
    let mut builder =
        Worker::builder().connections(args.connections).batch(args.batch).concurrency(200).flow("flow").observe(
            move |event| {
                if matches!(event, Event::TaskCompleted { .. }) && counted.fetch_add(1, Ordering::Relaxed) + 1 == tasks
                {
                    done.notify_one();
                }
            },
        );
    for step in shape.steps() {
        builder = builder.step(step, |input: Box<RawValue>, _| async move { Ok(json!({ "read": input.get().len() })) });
    }
    let worker = builder.connect(&Target::new(place.options("measured"))).await.expect("a worker");
    let began = Instant::now();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let working = tokio::spawn(worker.run(async move { stopped.await.unwrap_or(()) }));
    all.notified().await;
    let rate = tasks as f64 / began.elapsed().as_secs_f64();
    stop.send(()).expect("it listens");
    working.await.expect("it ends").expect("no error");
    place.assert_done("measured", tasks).await;
    rate
}
