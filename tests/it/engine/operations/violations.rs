//! The engine's search for violated rules, `pgflow.violations`.

use crate::fixture::runtime::{run, value, with_runtime};

#[tokio::test]
async fn violations_are_found_with_their_location() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.add_step('f', 'b', '{m}'); select pgflow.add_step('f', 'x')").await;
    run(c, "select pgflow.start_flow('f', '[1, 2]', t.id(n)) from generate_series(1, 2) n").await;
    assert_eq!(value(c, "select count(*) from pgflow.violations()").await, "0");
    for damage in [
        "update pgflow.runs set remaining_steps = 2",
        "update pgflow.step_states set remaining_tasks = 1 where step_slug = 'm'",
        "update pgflow.step_states set remaining_deps = 2 where step_slug = 'b'",
        // A step without open dependencies that has not started.
        "update pgflow.step_states set remaining_deps = 0 where step_slug = 'b'",
        "update pgflow.step_states set status = 'created', remaining_tasks = null, started_at = null where step_slug = 'x'; delete from pgflow.step_tasks where step_slug = 'x';
         delete from pgmq.q_f where message ->> 'step_slug' = 'x'",
        // A message without a task, and a task without a message.
        "update pgflow.step_tasks set status = 'completed', completed_at = now() + interval '1 minute' where step_slug = 'x'",
        "delete from pgmq.q_f where message ->> 'step_slug' = 'x'",
        // Messages of a finished run.
        "update pgflow.runs set status = 'failed', failed_at = now() + interval '1 minute'",
    ] {
        // Damage only the first run.
        let damage = damage.replace(" where ", " where RUN and ");
        let damage: Vec<String> = damage
            .split(';')
            .map(|statement| {
                let run = if statement.contains("pgmq") { "message ->> 'run_id' = t.id()::text" } else { "run_id = t.id()" };
                if statement.contains("RUN") { statement.replace("RUN", run) } else { format!("{statement} where {run}") }
            })
            .collect();
        let damage = damage.join(";");
        run(c, &format!("begin; {damage}")).await;
        assert_ne!(value(c, "select count(*) from pgflow.violations()").await, "0", "{damage}");
        assert_ne!(value(c, "select count(*) from pgflow.violations(t.id(1))").await, "0", "{damage}");
        assert_eq!(value(c, "select count(*) from pgflow.violations(t.id(2))").await, "0", "{damage}");
        let output = "select bool_and(rule <> '' and detail <> '' and run_id = t.id()) from pgflow.violations()";
        assert_eq!(value(c, output).await, "true", "{damage}");
        run(c, "rollback").await;
    }
}
