//! Starting runs in batches, about as fast as they end.

use std::time::{Duration, Instant};

use super::client::Client;
use super::fixture::Routes;
use super::{PROGRESS_TIMEOUT, Size};

const BATCH: usize = 10;

/// Every fifth run is one of the flow `parcel`.
const PARCELS: usize = 5;

/// The id of the run with this number.
pub(super) fn run_id(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

pub(super) fn is_parcel(n: usize) -> bool {
    n.is_multiple_of(PARCELS)
}

/// Starts all runs. A batch without an answer is started again, but no acknowledged run is.
pub(super) async fn start_runs(routes: &Routes, size: Size) {
    let window = (size.runs / 25).max(40);
    let mut client = Client::new(&[routes.direct.clone(), routes.pooled.clone()], size.random(3));
    let mut numbers = 1..=size.runs;
    loop {
        let batch: Vec<usize> = numbers.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return;
        }
        let deadline = Instant::now() + PROGRESS_TIMEOUT;
        while client.count("select count(*) from pgflow.runs where status = 'started'").await + BATCH > window {
            assert!(Instant::now() < deadline, "some runs do not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let values: Vec<String> = batch.iter().map(|&n| value(n)).collect();
        // Existing runs belong to a batch that was committed, but whose answer was lost.
        let start = format!(
            "with missing as materialized (
               select g.flow, g.n, g.run_id from (values {}) g (flow, n, run_id)
               where not exists (select from pgflow.runs r where r.run_id = g.run_id)
             )
             select count(r.run_id) from missing m cross join lateral pgflow.start_flow(m.flow, to_jsonb(m.n), m.run_id) r",
            values.join(", ")
        );
        client.query(&start).await;
    }
}

fn value(n: usize) -> String {
    let flow = if is_parcel(n) { "parcel" } else { "order" };
    format!("('{flow}', {n}, '{}'::uuid)", run_id(n))
}
