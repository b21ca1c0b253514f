//! Changes to an installed engine and ledger: `doctor` names each.

use flowsmith_postgres::engine::doctor::{CheckStatus, doctor};

use crate::engine::definitions::execute;
use crate::engine::roles::Team;
use crate::fixture::command::flowsmith_engine;

/// Each check, a change and a part of the line that names it.
const CHANGES: [(&str, &str, &str); 14] = [
    ("queues", "select pgflow.create_flow('f'); select pgmq.drop_queue('f')", "f"),
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
    ("engine schema", "alter function pgflow.resume_flow(text) security definer", "function resume_flow("),
    ("engine schema", "alter function pgflow.fail_task reset search_path", "function fail_task("),
    (
        "engine schema",
        "create function pgflow.poll_tasks(queue_name text, worker_id text, qty text) returns void language sql as 'select'",
        "function poll_tasks(",
    ),
    (
        "engine schema",
        "create trigger probe before insert on pgflow.runs for each row execute function public.probe()",
        "trigger runs.probe",
    ),
    (
        "engine schema",
        "create rule probe as on update to pgflow.worker_functions do also insert into public.calls values ('rule')",
        "rule worker_functions.probe",
    ),
    (
        "engine schema",
        "alter table pgflow.workers enable row level security; create policy probe on pgflow.workers using (false)",
        "policy workers.probe",
    ),
    ("engine schema", "create table public.child () inherits (pgflow.deps)", "child deps."),
    ("engine schema", "alter table pgflow.runs alter column remaining_steps set default 9", "column runs."),
    ("flowsmith schema", "alter table flowsmith.events disable trigger events_append_only", "trigger events.events_append_only"),
    (
        "flowsmith schema",
        "create function flowsmith.start_flow(flow text, input json) returns void language sql as 'select'",
        "function start_flow(",
    ),
    (
        "events",
        "create or replace function realtime.send(payload jsonb, event text, topic text, private boolean default true)
         returns void language plpgsql as $$ begin /* pgflow_events */ end $$",
        "realtime.send was changed",
    ),
];

#[tokio::test]
async fn doctor_names_every_change() {
    let database = flowsmith_engine().await;
    let c = &mut database.connect().await;
    execute(
        c,
        "create table public.calls (caller text);
         create function public.probe() returns trigger language plpgsql as $$ begin return new; end $$",
    )
    .await;
    for (_, change, _) in CHANGES {
        execute(c, change).await;
    }
    let checks = doctor(c).await.unwrap();
    for (check, change, named) in CHANGES {
        let found = checks.iter().find(|found| found.name == check).unwrap();
        assert!(found.status == CheckStatus::Failed && found.detail.contains(named), "{change}: {found:#?}");
    }
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
