//! From the call of `start_flow` to the handler, one run at a time.

use std::time::{Duration, Instant};

use flowsmith_postgres::database::Target;
use flowsmith_worker::{Event, Worker};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::Args;
use crate::place::{Place, Shape};

/// Prints the percentiles.
pub(crate) async fn measure(place: &Place, args: &Args) {
    place.fill("idle", Shape::Single, 0, true).await;
    let (began, mut begins) = mpsc::unbounded_channel();
    let (listening, mut listens) = mpsc::unbounded_channel();
    let handler = move |_: Value, _| {
        let _ = began.send(Instant::now());
        async { Ok(()) }
    };
    let builder = Worker::builder().flow("flow").step("step_0", handler).observe(move |event| {
        if matches!(event, Event::Listening) {
            let _ = listening.send(());
        }
    });
    let worker = builder.connect(&Target::new(place.options("idle"))).await.expect("a worker");
    let (stop, stopped) = oneshot::channel();
    let working = tokio::spawn(worker.run(async move { stopped.await.unwrap_or(()) }));
    listens.recv().await.expect("it listens");
    let mut c = place.connect("idle").await;
    let mut latencies = Vec::new();
    for number in 0..args.latencies + 20 {
        // Idle, and at another moment of its second each time.
        tokio::time::sleep(Duration::from_millis(20 + (number % 17) as u64)).await;
        let start = Instant::now();
        sqlx::query("select run_id::text from pgflow.start_flow('flow', '{}')").fetch_one(&mut c).await.expect("a run");
        let begun: Instant = begins.recv().await.expect("a handler");
        // The first ones load what later ones have.
        if number >= 20 {
            latencies.push(begun.saturating_duration_since(start));
        }
    }
    stop.send(()).expect("it listens");
    working.await.expect("it ends").expect("no error");
    latencies.sort();
    let millis = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!(
        "start_flow to handler, idle: p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, longest {:.1} ms, of {} runs",
        millis(0.5),
        millis(0.95),
        millis(0.99),
        millis(1.0),
        latencies.len()
    );
}
