//! Deleting old runs.

use super::TWO_STEPS;
use crate::fixture::runtime::{rows, run, value, with_runtime};

/// Runs 1 (completed), 2 (failed) and 3 (started) of f, and 4 (completed) of g. Finished run n ended n hours ago.
const RUNS: &str = "select pgflow.create_flow('f', max_attempts => 0); select pgflow.add_step('f', 'a'); select pgflow.create_flow('g'); select pgflow.add_step('g', 'a');
    select pgflow.start_flow('f', '{}', t.id(n)) from generate_series(1, 3) n; select pgflow.start_flow('g', '{}', t.id(4)); select t.take(); select t.take('g');
    select pgflow.complete_task(t.id(n), 'a', 0, '1') from unnest('{1,4}'::integer[]) n; select pgflow.fail_task(t.id(2), 'a', 0, 'boom');
    update pgflow.runs set started_at = started_at - interval '1 day', completed_at = completed_at - n * interval '1 hour', failed_at = failed_at - n * interval '1 hour'
    from generate_series(1, 4) n where run_id = t.id(n)";

const LEFT: &str = "select string_agg(right(run_id::text, 1), '' order by run_id) from pgflow.runs";

#[tokio::test]
async fn only_old_runs_are_deleted_with_their_data() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, RUNS).await;
    assert_eq!(value(c, "pgflow.prune_runs('90 minutes')").await, "2");
    assert_eq!(value(c, LEFT).await, "13");
    for table in ["step_states", "step_tasks"] {
        let left = format!("select string_agg(right(run_id::text, 1), '' order by run_id) from pgflow.{table}");
        assert_eq!(value(c, &left).await, "13", "{table}");
    }
    assert_eq!(rows(c, "select t.archive()").await, ["a 0"]);
    assert_eq!(rows(c, "select t.queue()").await, ["a 0"]);
    assert_eq!(value(c, "select count(*) from pgmq.a_g").await, "0");
    assert_eq!(value(c, "pgflow.prune_runs('90 minutes')").await, "0");
    assert_eq!(value(c, "pgflow.prune_runs('0')").await, "1");
    assert_eq!(value(c, LEFT).await, "3", "what has not finished is never old");
    assert_eq!(value(c, "select count(*) from pgflow.violations()").await, "0");
}

#[tokio::test]
async fn prune_respects_flow_and_limit() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, RUNS).await;
    assert_eq!(value(c, "pgflow.prune_runs('0', 'g')").await, "1");
    assert_eq!(value(c, LEFT).await, "123");
    assert_eq!(value(c, "pgflow.prune_runs('0', 'nope')").await, "0");
    assert_eq!(value(c, "pgflow.prune_runs('0', 'f', 1)").await, "1");
    assert_eq!(value(c, "pgflow.prune_runs('0', max_runs => 0)").await, "0");
    assert_eq!(value(c, "pgflow.prune_runs('0', null, 1)").await, "1");
    assert_eq!(value(c, LEFT).await, "3");
}

#[tokio::test]
async fn prune_deletes_messages_of_retried_run() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, TWO_STEPS).await;
    run(c, "select pgflow.start_flow('f', '{}', t.id()); select pgflow.cancel_run(t.id()); select pgflow.retry_run(t.id()); select pgflow.cancel_run(t.id())").await;
    assert_eq!(rows(c, "select t.archive()").await, ["a 0"]);
    assert_eq!(value(c, "pgflow.prune_runs('0')").await, "1");
    assert_eq!(rows(c, "select t.archive()").await, [""; 0]);
}
