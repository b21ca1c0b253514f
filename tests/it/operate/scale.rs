//! Databases with many finished runs: no command scans a whole table.

use sqlx::PgConnection;

use super::{OTHER, RUN, claim, json, shop, start};
use crate::fixture::command::Project;
use crate::fixture::runtime::{run, value};

/// Finished runs of two steps and three tasks.
const HISTORY: &str = "
    set session_replication_role = replica;
    create temporary table h as
      select gen_random_uuid() as run_id, now() - n * interval '30 s' as at, n % 1000 = 0 as bad, n from generate_series(1, 30000) n;
    insert into pgflow.runs (run_id, flow_slug, status, input, started_at, completed_at, failed_at)
      select run_id, case when n % 3 = 0 then 'order' else 'order_v2' end, case when bad then 'failed' else 'completed' end, '{}', at - interval '9 s',
        case when not bad then at end, case when bad then at end from h;
    insert into pgflow.step_states (flow_slug, run_id, step_slug, status, remaining_tasks, initial_tasks, created_at, started_at, completed_at)
      select 'order_v2', run_id, s, 'completed', 0, 1, at, at, at from h, unnest(array['load', 'each']) s;
    insert into pgflow.step_tasks (flow_slug, run_id, step_slug, message_id, task_index, status, attempts_count, queued_at, started_at, completed_at)
      select 'order_v2', run_id, 'each', n * 3 + i, i, 'completed', 1, at, at, at from h, generate_series(0, 2) i;
    reset session_replication_role;
    insert into flowsmith.events (kind, detail)
      select case n % 4 when 0 then 'run-cancelled' when 1 then 'run-retried' else 'flow-paused' end,
        jsonb_build_object('run_id', case when n % 3 = 0 then h.run_id else gen_random_uuid() end, 'failed_at', h.at)
      from h cross join generate_series(0, 3) k where n <= 25000;
    select setval(pg_get_serial_sequence('pgmq.q_order_v2', 'msg_id'), 1000000)";

#[tokio::test]
async fn commands_scan_no_table_without_statistics() {
    no_table_is_read("", "").await;
}

#[tokio::test]
async fn commands_scan_no_table_with_stale_statistics() {
    no_table_is_read("analyze", "").await;
}

#[tokio::test]
async fn commands_scan_no_table_with_fresh_statistics() {
    no_table_is_read("", "analyze").await;
}

async fn no_table_is_read(before: &str, after: &str) {
    let (database, project, mut c) = shop().await;
    if !counts_are_prompt(&mut c).await {
        return;
    }
    run(&mut c, before).await;
    run(&mut c, HISTORY).await;
    run(&mut c, after).await;
    start(&project, RUN);
    start(&project, OTHER);
    // Cancelled by the engine's function, so no event of the ledger records it.
    run(&mut c, &format!("select pgflow.cancel_run('{OTHER}')")).await;
    claim(&mut c, "order_v2").await;
    project.succeeds(&["start", "order@1"]);
    // A session reports its statistics when it ends.
    drop(c);
    let mut c = database.connect().await;
    let read = "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) from pg_stat_user_tables where schemaname || '.' || relname in ('pgflow.runs', 'pgflow.step_states', 'pgflow.step_tasks', 'flowsmith.events')";
    let commands: [(&[&str], u64); 21] = [
        (&["runs"], 3_000),
        (&["runs", "order@2"], 8_000),
        (&["runs", "--failed"], 8_000),
        (&["runs", "--status", "started"], 8_000),
        (&["runs", "order@1", "--since", "1h"], 3_000),
        (&["show", RUN], 200),
        (&["show", RUN, "--full"], 200),
        (&["show", OTHER], 200),
        (&["watch", RUN, "--timeout", "500ms"], 400),
        (&["queues"], 200),
        (&["workers"], 200),
        (&["stalled", "--for", "0s"], 200),
        (&["stats", "--since", "1h"], 3_000),
        (&["stats", "order@1", "--since", "1h"], 3_000),
        (&["cancel", RUN, "--yes"], 400),
        (&["show", RUN], 200),
        (&["show", RUN, "--format", "json"], 200),
        (&["watch", RUN], 400),
        (&["retry", RUN], 400),
        (&["show", RUN], 200),
        (&["prune", "--older-than", "250h", "--yes"], 3_000),
    ];
    few_rows_are_read(&project, &mut c, read, &commands).await;
}

/// Before PostgreSQL 15, a separate process collects the statistics of sessions, seconds later, so the tests cannot compare
/// counts.
async fn counts_are_prompt(c: &mut PgConnection) -> bool {
    value(c, "current_setting('server_version_num')::integer >= 150000").await == "true"
}

async fn few_rows_are_read(project: &Project, c: &mut PgConnection, read: &str, commands: &[(&[&str], u64)]) {
    for (arguments, most) in commands {
        let before: u64 = settled(c, read).await;
        let outcome = project.run(arguments);
        assert!(outcome.code == 0 || arguments[0] == "watch", "{arguments:?}: {outcome}");
        let rows = settled(c, read).await - before;
        assert!(rows <= *most, "{arguments:?} reads {rows} rows, more than {most}");
    }
}

/// Each batch finds the runs of a rare flow without reading the runs of other flows again.
#[tokio::test]
async fn pruning_a_rare_flow_reads_its_runs() {
    let (database, project, mut c) = shop().await;
    if !counts_are_prompt(&mut c).await {
        return;
    }
    run(
        &mut c,
        "set session_replication_role = replica;
         insert into pgflow.runs (flow_slug, status, input, remaining_steps, started_at, completed_at)
           select case when n % 10 = 0 then 'order' else 'order_v2' end, 'completed', '{}', 0, now() - n * interval '31 s', now() - n * interval '30 s'
           from generate_series(1, 60000) n;
         reset session_replication_role;
         analyze pgflow.runs",
    )
    .await;
    drop(c);
    let mut c = database.connect().await;
    let read = "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) from pg_stat_user_tables where relname = 'runs' and schemaname = 'pgflow'";
    let before = settled(&mut c, read).await;
    let report = json(&project, "prune", &["prune", "order@1", "--older-than", "1d", "--yes"]);
    let rows = settled(&mut c, read).await - before;
    assert_eq!(value(&mut c, "select count(*) from pgflow.runs where flow_slug = 'order_v2'").await, "54000");
    let (gone, left) = (
        report["deleted_runs"].as_u64().unwrap(),
        value(&mut c, "select count(*) from pgflow.runs where flow_slug = 'order'").await,
    );
    assert!((5_700..5_720).contains(&gone) && gone + left.parse::<u64>().unwrap() == 6_000, "{report} {left}");
    // The confirmation and the deletion both count all older runs; then each batch reads only runs of the flow.
    assert!(rows < 200_000, "{rows} rows are read");
}

/// Reads a statistic after all other sessions have ended and reported theirs.
async fn settled(c: &mut PgConnection, read: &str) -> u64 {
    let others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";
    while value(c, others).await != "0" {
        tokio::task::yield_now().await;
    }
    run(c, "select pg_stat_clear_snapshot()").await;
    value(c, read).await.parse().unwrap()
}
