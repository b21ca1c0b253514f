//! Changes to an installed engine and ledger: `doctor` names each, and runs none of them.

use flowsmith_postgres::engine::doctor::{CheckStatus, doctor};

use crate::engine::definitions::{execute, text};
use crate::engine::roles::Team;
use crate::fixture::command::flowsmith_engine;

#[tokio::test]
async fn doctor_names_every_change() {
    let database = flowsmith_engine().await;
    let c = &mut database.connect().await;
    execute(c, "create table public.calls (caller text)").await;
    let trigger = "create function public.probe() returns trigger language plpgsql as $$ begin insert into public.calls values (current_user); return new; end $$";
    execute(c, trigger).await;
    for (check, change, named) in [
        (
            "engine schema",
            "create or replace function pgflow.calculate_retry_delay(base_delay numeric, attempts_count integer) returns integer
             language sql immutable parallel safe as 'select 0'",
            "function calculate_retry_delay(",
        ),
        (
            "engine schema",
            "create or replace function pgflow.calculate_retry_delay(base_delay numeric, attempts_count integer) returns integer
             language sql immutable parallel safe return 0",
            "function calculate_retry_delay(",
        ),
        (
            "engine schema",
            "create or replace function pgflow.pause_flow(flow_slug text) returns boolean language plpgsql
             set search_path = pg_catalog, pg_temp as $$ begin return true; end $$",
            "function pause_flow(",
        ),
        ("engine schema", "alter function pgflow.pause_flow(text) security definer", "function pause_flow("),
        ("engine schema", "alter function pgflow.start_tasks(text, bigint[], uuid) reset search_path", "function start_tasks("),
        (
            "engine schema",
            "create function pgflow.complete_task(run_id uuid, step_slug text, task_index integer, output json) returns void
             language sql as 'select'",
            "function complete_task(",
        ),
        ("engine schema", "create trigger probe before insert on pgflow.runs for each row execute function public.probe()", "trigger runs.probe"),
        ("engine schema", "create rule probe as on insert to pgflow.runs do also insert into public.calls values ('rule')", "rule runs.probe"),
        (
            "engine schema",
            "alter table pgflow.runs enable row level security; create policy probe on pgflow.runs using (false)",
            "policy runs.probe",
        ),
        ("engine schema", "create table public.child () inherits (pgflow.runs)", "child runs."),
        ("engine schema", "alter table pgflow.runs alter column status set default 'completed'", "column runs."),
        ("flowsmith schema", "alter table flowsmith.events disable trigger events_append_only", "trigger events.events_append_only"),
        ("flowsmith schema", "create function flowsmith.start_flow(flow text, input json) returns void language sql as 'select'", "function start_flow("),
        (
            "events",
            "create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
             returns void language plpgsql as $$ begin insert into public.calls values (current_user); /* pgflow_events */ end $$",
            "realtime.send was changed",
        ),
        ("queues", "select pgflow.create_flow('f'); select pgmq.drop_queue('f')", "f"),
    ] {
        execute(c, &format!("begin; {change}")).await;
        let checks = doctor_in_transaction(c).await;
        execute(c, "rollback").await;
        let found = checks.iter().find(|(name, ..)| name == check).unwrap();
        assert!(found.1 == CheckStatus::Failed && found.2.contains(named), "{change}: {found:?}");
    }
    assert_eq!(text(c, "(select string_agg(caller, ',') from public.calls)").await, None);
}

/// The results of `doctor`, whose self-test runs in a savepoint.
async fn doctor_in_transaction(c: &mut sqlx::PgConnection) -> Vec<(String, CheckStatus, String)> {
    doctor(c).await.unwrap().into_iter().map(|check| (check.name, check.status, check.detail)).collect()
}

/// Beside a queue of a flow that another role owns, the flow's tasks would go to that role.
#[tokio::test]
async fn doctor_names_queue_of_other_role() {
    let team = Team::new().await;
    let c = &mut team.database.connect().await;
    execute(c, "select pgflow.create_flow('order')").await;
    execute(c, &format!("alter table pgmq.q_order owner to {}", team.name("stranger"))).await;
    let checks = doctor(c).await.unwrap();
    let queues = checks.iter().find(|check| check.name == "queues").unwrap();
    assert!(queues.status == CheckStatus::Failed && queues.detail.contains("order"), "{queues:?}");
}
