//! Creates flows and starts runs in the database of a contender.

use sqlx::postgres::PgConnection;

use crate::contender::Contender;
use crate::shape::Shape;
use crate::sql::run;

/// Creates a flow, or only its queue if the contender has no engine.
pub(crate) async fn define(connection: &mut PgConnection, contender: Contender, shape: Shape, flow: &str) {
    if !contender.has_engine() {
        run(connection, &format!("select pgmq.create('{flow}')")).await;
        return;
    }
    // The long timeout keeps the engine from handing out a task twice when the machine stalls.
    run(connection, &format!("select pgflow.create_flow('{flow}', timeout => 3600)")).await;
    for (slug, dependencies) in shape.steps() {
        let kind = if shape.is_map(&dependencies) { "map" } else { "single" };
        let dependencies: Vec<String> = dependencies.iter().map(|slug| format!("'{slug}'")).collect();
        let dependencies = format!("array[{}]::text[]", dependencies.join(", "));
        run(connection, &format!("select pgflow.add_step('{flow}', '{slug}', {dependencies}, step_type => '{kind}')"))
            .await;
    }
}

/// Starts runs, or sends as many messages as the runs have tasks if the contender has no engine.
pub(crate) async fn start_runs(
    connection: &mut PgConnection,
    contender: Contender,
    shape: Shape,
    flow: &str,
    runs: usize,
) {
    let sql = if contender.has_engine() {
        format!(
            "do $$ declare input jsonb := {}; begin \
             for n in 1..{runs} loop perform pgflow.start_flow('{flow}', input); end loop; end $$",
            shape.input()
        )
    } else {
        let messages = runs * shape.tasks_of_a_run();
        format!(
            "select count(*) from pgmq.send_batch('{flow}', (select array_agg(jsonb_build_object('flow_slug', '{flow}', \
             'run_id', gen_random_uuid(), 'step_slug', 'step_0', 'task_index', n)) from generate_series(1, {messages}) n))"
        )
    };
    run(connection, &sql).await;
}
