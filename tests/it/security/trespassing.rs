//! Members of the four roles that try to do what only another role may do.

use flowsmith_postgres::engine::roles::Role;

use crate::engine::definitions::{execute, text};
use crate::engine::roles::{FLOW, Team, refused};
use crate::fixture::runtime::{error, rows};

const RUN: &str = "00000000-0000-0000-0000-00000000000a";
const WORKER: &str = "00000000-0000-0000-0000-000000000001";

async fn team_with_run() -> Team {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", FLOW);
    project.flow("bill", "", "  send: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let client = &mut team.session(Role::Client).await;
    execute(client, &format!("select flowsmith.start_flow('order', '{{}}', '{RUN}')")).await;
    execute(client, "select flowsmith.start_flow('bill', '{}')").await;
    team
}

/// A worker that could change where a task's message is would have the owner's prune delete messages of other queues.
#[tokio::test]
async fn worker_cannot_reroute_tasks_or_messages() {
    let team = team_with_run().await;
    let worker = &mut team.session(Role::Worker).await;
    for sql in [
        "update pgflow.step_tasks set flow_slug = 'bill'",
        "update pgflow.step_tasks set message_id = 1",
        "update pgflow.step_tasks set run_id = gen_random_uuid()",
        "update pgflow.step_tasks set step_slug = 'send'",
        "insert into pgflow.step_tasks select * from pgflow.step_tasks",
        "delete from pgflow.step_tasks",
        "update pgflow.step_states set flow_slug = 'bill'",
        "update pgflow.step_states set status = 'completed'",
        "update pgflow.runs set flow_slug = 'bill'",
        "update pgflow.runs set input = '{}'",
        "update pgmq.q_order set message = '{}'",
        "update pgmq.q_order set enqueued_at = now()",
        "insert into pgmq.q_order (vt, message) values (now(), '{}')",
        "select pgmq.send('bill', '{}')",
        "delete from pgmq.a_order",
        "update pgmq.a_order set message = '{}'",
        "update pgflow.workers set deprecated_at = now()",
        "update pgflow.workers set queue_name = 'bill'",
        "delete from pgflow.workers",
        "insert into pgflow.worker_functions (function_name) values ('mine')",
        "update pgflow.paused_flows set parked_at = null",
        "select pgflow._archive_messages('bill', array[1])",
        "select pgflow._delete_messages('bill', array[1], array[]::uuid[])",
        "select pgflow._enqueue_tasks('bill', '{}', '{}', '{}', 0)",
        "select pgflow._drop_queue('bill')",
        "select realtime.send('{}', 'run:completed', 'pgflow:run:1', false)",
    ] {
        refused(worker, sql).await;
    }
}

/// The functions for workers run with the privileges of the owner, so they must not serve other queues.
#[tokio::test]
async fn worker_functions_do_not_reach_queues_of_others() {
    let team = team_with_run().await;
    let c = &mut team.database.connect().await;
    execute(c, "select pgmq.create('private'), pgmq.send('private', '{\"secret\": 1}')").await;
    let worker = &mut team.session(Role::Worker).await;
    let (code, message) = error(worker, "select * from pgflow.set_vt_batch('private', array[1], array[100])").await;
    assert_eq!((code.as_str(), message.as_str()), ("42P01", "there is no flow with the queue \"private\""));
    let (code, _) = error(worker, &format!("select * from pgflow.poll_tasks('private', '{WORKER}')")).await;
    assert_eq!(code, "23503");
    let started = format!("select count(*) from pgflow.start_tasks('private', array[1], '{WORKER}')");
    assert_eq!(rows(worker, &started).await, ["0"]);
    refused(worker, "select * from pgmq.read('private', 0, 1)").await;
    assert_eq!(text(c, "(select read_ct from pgmq.q_private)").await.as_deref(), Some("0"));
    assert_eq!(text(c, "(select vt <= now() from pgmq.q_private)").await.as_deref(), Some("true"));
}

/// Workers in any language use pgmq directly.
#[tokio::test]
async fn worker_can_read_hide_archive_and_delete_messages() {
    let team = team_with_run().await;
    let worker = &mut team.session(Role::Worker).await;
    for sql in [
        "select pgmq.read('order', 0, 1)",
        "select pgmq.read_with_poll('order', 0, 1, 1, 100)",
        "select pgmq.set_vt('order', 1, 0)",
        "select pgmq.archive('order', 1)",
        "select pgmq.delete('bill', 1)",
    ] {
        execute(worker, sql).await;
    }
}

#[tokio::test]
async fn operator_controls_runs_and_nothing_else() {
    let team = team_with_run().await;
    let operator = &mut team.session(Role::Operator).await;
    for sql in [
        format!("select pgflow.complete_task('{RUN}', 'load', 0, '[]')"),
        format!("select pgflow.fail_task('{RUN}', 'load', 0, 'no')"),
        format!("select pgflow.start_tasks('order', array[1], '{WORKER}')"),
        format!("select pgflow.poll_tasks('order', '{WORKER}')"),
        "select flowsmith.start_flow('order', '{}')".to_owned(),
        "select pgflow.start_flow_with_states('order', '{}')".to_owned(),
        "select pgflow.create_flow('mine')".to_owned(),
        "select pgflow.add_step('order', 'mine')".to_owned(),
        "select pgflow.delete_flow_and_data('order')".to_owned(),
        "select flowsmith.drop_flow('order')".to_owned(),
        "select flowsmith.reset_flow('order')".to_owned(),
        "select flowsmith.begin_migration('{}')".to_owned(),
        "update flowsmith.flow_versions set state = 'retired'".to_owned(),
        "insert into flowsmith.events (kind) values ('run-retried')".to_owned(),
        "delete from flowsmith.events".to_owned(),
        // Without the event that names the operator.
        format!("select pgflow.cancel_run('{RUN}')"),
        format!("select pgflow.retry_run('{RUN}')"),
        "select pgflow.pause_flow('order')".to_owned(),
        "select pgflow.prune_runs('0 s')".to_owned(),
        "select pgflow.requeue_stalled_tasks()".to_owned(),
        "delete from pgflow.runs".to_owned(),
        "update pgflow.runs set status = 'failed'".to_owned(),
        "insert into pgflow.paused_flows (flow_slug) values ('order')".to_owned(),
        "select pgmq.read('order', 0, 1)".to_owned(),
        "select pgmq.send('order', '{}')".to_owned(),
        "delete from pgmq.q_order".to_owned(),
    ] {
        refused(operator, &sql).await;
    }
    // A savepoint does not hide who did it.
    execute(operator, &format!("begin; savepoint a; select flowsmith.cancel_run('{RUN}', 'test'); release a; commit"))
        .await;
    execute(operator, &format!("begin; savepoint a; select flowsmith.retry_run('{RUN}'); release a; commit")).await;
    execute(operator, "select flowsmith.pause_flow('order'), flowsmith.resume_flow('order')").await;
    let events = "select kind || ' by ' || actor from flowsmith.events where kind <> 'migrated' order by id";
    let name = team.login(Role::Operator);
    assert_eq!(
        rows(operator, events).await,
        ["run-cancelled", "run-retried", "flow-paused", "flow-resumed"].map(|kind| format!("{kind} by {name}"))
    );
}

#[tokio::test]
async fn operator_can_run_every_command_of_operators() {
    let team = team_with_run().await;
    let url = team.database.url().replace("user=postgres", &format!("user={}", team.login(Role::Operator)));
    let project = team.project().with("DATABASE_URL", &url);
    project.flow("order", "", FLOW);
    project.flow("bill", "", "  send: {}");
    project.compile();
    for arguments in [
        &["runs"][..],
        &["show", RUN],
        &["queues"],
        &["stats"],
        &["stats", "order"],
        &["stalled"],
        &["workers"],
        &["cancel", RUN, "--yes", "--reason", "test"],
        &["watch", RUN],
        &["retry", RUN],
        &["pause", "order"],
        &["resume", "order"],
        &["stalled", "--requeue"],
        &["cancel", RUN, "--yes"],
        &["prune", "--older-than", "0s", "--yes"],
    ] {
        let outcome = project.run(arguments);
        assert!(outcome.code == 0 || arguments[0] == "watch", "{arguments:?}: {outcome}");
        assert!(!outcome.stderr.contains("FS905"), "{arguments:?}: {outcome}");
    }
    let status = project.run(&["status"]);
    assert!(!status.stderr.contains("FS905"), "{status}");
    project.flow("more", "", "  send: {}");
    project.compile();
    for arguments in [&["apply"][..], &["start", "order"]] {
        let outcome = project.run(arguments);
        assert!(outcome.code != 0, "{arguments:?}: {outcome}");
    }
    let kinds = "(select string_agg(kind, ' ' order by id) from flowsmith.events where actor = session_user)";
    let operator = &mut team.session(Role::Operator).await;
    assert_eq!(
        text(operator, kinds).await.as_deref(),
        Some("run-cancelled run-retried flow-paused flow-resumed run-cancelled runs-pruned")
    );
}

#[tokio::test]
async fn other_roles_cannot_control_runs() {
    let team = team_with_run().await;
    for role in [Role::Deployer, Role::Worker, Role::Client] {
        let c = &mut team.session(role).await;
        for sql in [
            format!("select flowsmith.cancel_run('{RUN}')"),
            format!("select flowsmith.retry_run('{RUN}')"),
            "select flowsmith.pause_flow('order')".to_owned(),
            "select flowsmith.resume_flow('order')".to_owned(),
            "select flowsmith.prune_runs('0 s')".to_owned(),
            format!("select pgflow.cancel_run('{RUN}')"),
            "delete from pgflow.runs".to_owned(),
        ] {
            refused(c, &sql).await;
        }
    }
}

/// Deployers define flows through functions only.
#[tokio::test]
async fn deployer_cannot_write_tables_of_engine() {
    let team = team_with_run().await;
    let deployer = &mut team.session(Role::Deployer).await;
    for sql in [
        "insert into pgflow.flows (flow_slug) values ('mine')",
        "insert into pgflow.steps (flow_slug, step_slug) values ('order', 'mine')",
        "insert into pgflow.deps (flow_slug, dep_slug, step_slug) values ('order', 'load', 'send')",
        "update pgflow.flows set flow_slug = 'mine'",
        "update pgflow.steps set step_type = 'map'",
        "delete from pgflow.steps",
        "select pgflow._create_queue('order')",
        "select pgmq.create('mine')",
        "drop table pgmq.q_order",
        "select pgmq.read('order', 0, 1)",
    ] {
        refused(deployer, sql).await;
    }
}

/// Prepared statements belong to the session, so a function that runs as its owner could execute one of its caller.
#[tokio::test]
async fn functions_do_not_execute_prepared_statements_of_worker() {
    let team = team_with_run().await;
    let worker = &mut team.session(Role::Worker).await;
    execute(
        worker,
        "create function pg_temp.evil() returns bigint language plpgsql as $$
         begin
           if current_user <> session_user then raise exception 'ran as %', current_user; end if;
           return 1;
         end $$",
    )
    .await;
    for (purpose, types) in [
        ("archive", "bigint[]"),
        ("set_vts", "bigint[], integer[]"),
        ("set_vt", "bigint, integer"),
        ("enqueue", "text, uuid[], text[], integer[], integer"),
        ("read", "integer, integer"),
    ] {
        execute(worker, &format!("prepare pgflow_{purpose}_order ({types}) as select pg_temp.evil()")).await;
    }
    let register =
        format!("insert into pgflow.workers (worker_id, queue_name, function_name) values ('{WORKER}', 'order', 'w')");
    execute(worker, &register).await;
    assert_eq!(rows(worker, &format!("select step_slug from pgflow.poll_tasks('order', '{WORKER}')")).await, ["load"]);
    execute(worker, &format!("select pgflow.fail_task('{RUN}', 'load', 0, 'once')")).await;
    execute(worker, "select pgflow.set_vt_batch('order', array[1], array[0])").await;
    assert_eq!(rows(worker, &format!("select step_slug from pgflow.poll_tasks('order', '{WORKER}')")).await, ["load"]);
    execute(worker, &format!("select pgflow.complete_task('{RUN}', 'load', 0, '[1]')")).await;
}
