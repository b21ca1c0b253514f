//! Beside many finished runs no command reads a whole table, whatever it is asked.

use super::{RUN, shop, start, take};
use crate::engine_runtime::{run, value};

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
    select setval(pg_get_serial_sequence('pgmq.q_order_v2', 'msg_id'), 1000000)";

#[tokio::test]
async fn no_command_reads_a_whole_table() {
    no_table_is_read("").await;
}

#[tokio::test]
async fn no_command_reads_a_whole_table_with_statistics_either() {
    no_table_is_read("analyze").await;
}

async fn no_table_is_read(before: &str) {
    let (database, project, mut c) = shop().await;
    run(&mut c, HISTORY).await;
    run(&mut c, before).await;
    start(&project, RUN);
    take(&mut c, "order_v2").await;
    project.done(&["start", "order@1"]);
    // Counts of a session are told when it ends.
    drop(c);
    let mut c = database.connect().await;
    let read = "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) from pg_stat_user_tables where relname in ('runs', 'step_states', 'step_tasks') and schemaname = 'pgflow'";
    let commands: [(&[&str], u64); 16] = [
        (&["runs"], 3_000),
        (&["runs", "order@2"], 8_000),
        (&["runs", "--failed"], 8_000),
        (&["runs", "--status", "started"], 8_000),
        (&["runs", "order@1", "--since", "1h"], 3_000),
        (&["show", RUN], 200),
        (&["show", RUN, "--full"], 200),
        (&["watch", RUN, "--timeout", "500ms"], 400),
        (&["queues"], 200),
        (&["workers"], 200),
        (&["stalled", "--for", "0s"], 200),
        (&["stats", "--since", "1h"], 3_000),
        (&["stats", "order@1", "--since", "1h"], 3_000),
        (&["cancel", RUN, "--yes"], 400),
        (&["retry", RUN], 400),
        (&["prune", "--older-than", "250h", "--yes"], 3_000),
    ];
    for (arguments, most) in commands {
        let before: u64 = settled(&mut c, read).await;
        let outcome = project.run(arguments);
        assert!(outcome.code == 0 || arguments[0] == "watch", "{arguments:?}: {outcome}");
        let rows = settled(&mut c, read).await - before;
        assert!(rows <= most, "{arguments:?} reads {rows} rows, more than {most}");
    }
}

/// A count that the server's sessions have told of: two looks agree, and no other session is left.
async fn settled(c: &mut sqlx::PgConnection, read: &str) -> u64 {
    let others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";
    while value(c, others).await != "0" {
        tokio::task::yield_now().await;
    }
    run(c, "select pg_stat_clear_snapshot()").await;
    value(c, read).await.parse().unwrap()
}
