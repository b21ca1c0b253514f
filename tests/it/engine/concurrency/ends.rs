//! Assertions about finished runs: final statuses, archived messages and attempts.

use sqlx::postgres::PgConnection;

use super::query;
use super::shapes::Shape;
use super::workers::Tally;

/// The distinct final states of a shape's runs, one per line: the statuses of the run and of the steps in `Shape::ends`, the
/// output if it is deterministic, and the number of runs.
pub(crate) async fn ends(connection: &mut PgConnection, shape: &Shape) -> String {
    let output = if shape.is_determined() { "r.output" } else { "null::jsonb" };
    let sql = format!(
        "select ended, output, count(*) from (
           select r.status || ': ' || string_agg(s.step_slug || ' ' || s.status, ', ' order by s.step_slug) as ended,
                  {output} as output
           from pgflow.runs r join pgflow.step_states s using (run_id)
           where r.flow_slug = '{}' and position(' ' || s.step_slug || ' ' in '{}') > 0
           group by r.run_id) run
         group by ended, output order by ended, output",
        shape.slug, shape.ends
    );
    query(connection, &sql).await.unwrap()
}

/// Asserts that the queue of a flow is empty, and that the archive has exactly one message per task.
pub(crate) async fn assert_archived(connection: &mut PgConnection, flow: &str) {
    let sql = format!(
        "select (select count(*) from pgmq.q_{flow}),
                (select count(*) from pgmq.a_{flow}) - (select count(*) from pgflow.step_tasks where flow_slug = '{flow}'),
                (select count(*) - count(distinct msg_id) from pgmq.a_{flow})"
    );
    assert_eq!(query(connection, &sql).await.unwrap(), "0|0|0", "messages of {flow}");
}

/// Asserts that the workers received each task as often as the engine counted attempts, and completed it once.
pub(crate) async fn assert_counts(connection: &mut PgConnection, tally: &Tally) {
    let sql = "select run_id, step_slug, task_index, attempts_count, status from pgflow.step_tasks";
    let mut tasks = 0;
    for row in query(connection, sql).await.unwrap().lines() {
        let columns: Vec<&str> = row.split('|').collect();
        let key = (columns[0].to_owned(), columns[1].to_owned(), columns[2].parse().unwrap());
        let started = tally.started.get(&key).copied().unwrap_or(0);
        let completed = tally.completed.get(&key).copied().unwrap_or(0);
        assert_eq!(started.to_string(), columns[3], "attempts at {row}");
        assert_eq!(completed, u32::from(columns[4] == "completed"), "completions of {row}");
        tasks += usize::from(started > 0);
    }
    assert_eq!(tasks, tally.started.len(), "tasks of the workers that the engine does not have");
}
