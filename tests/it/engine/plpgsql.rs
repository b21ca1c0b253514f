//! What plpgsql_check says of the functions in PL/pgSQL, which PostgreSQL itself looks at only when they are called.

use sqlx::Row;

use crate::fixture::command::flowsmith_engine;
use crate::fixture::has_extension;

/// Every warning that it has: errors, warnings, hints at slow code and at injected SQL.
const FINDINGS: &str = "
    select format('%s:%s: %s: %s%s', p.oid::regprocedure, f.lineno, f.level, f.message, ' (' || f.detail || ')')
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    join pg_language l on l.oid = p.prolang
    cross join lateral plpgsql_check_function_tb(p.oid,
      relid => case when p.prorettype = 'trigger'::regtype then 'flowsmith.events'::regclass else 0 end,
      fatal_errors => false, other_warnings => true, extra_warnings => true, performance_warnings => true,
      security_warnings => true) f
    where n.nspname in ('pgflow', 'flowsmith', 'realtime') and l.lanname = 'plpgsql'
    order by 1";

/// What it says without cause: of which function, and in which words.
const UNFOUNDED: &[(&str, &str)] = &[
    // A literal as the default of an array.
    ("pgflow.ensure_flow_compiled(", "(cast \"text\" value to \"text[]\" type)"),
    // Kept for workers of old levels: takes what they give, does nothing.
    ("pgflow.poll_for_tasks(", "routine is marked as VOLATILE"),
    ("pgflow.poll_for_tasks(", "unused parameter"),
    // Returns rows of a statement whose table's name is only known when it runs.
    ("pgflow.set_vt_batch(", "OUT variable"),
    // They lock rows, which only a volatile function may do.
    ("pgflow._lock_tasks(", "routine is marked as VOLATILE"),
    ("pgflow._lock_stalled_tasks(", "routine is marked as VOLATILE"),
    // It ends with a case that has no else, which raises.
    ("pgflow._queue_statement(", "control reached end of function without RETURN"),
    // Names of queues and statements go through %I in _queue_statement_call and _queue_statement, and values through %L or are numbers.
    ("pgflow._archive_messages(", "text type variable is not sanitized"),
    ("pgflow._set_vt(", "text type variable is not sanitized"),
    ("pgflow._set_vt_skip_locked(", "text type variable is not sanitized"),
    ("pgflow._prepare_queue_statement(", "text type variable is not sanitized"),
    ("pgflow._read_messages(", "text type variable is not sanitized"),
    ("pgflow._enqueue_tasks(", "text type variable is not sanitized"),
    // Dynamic SQL, because engines differ in the columns of pgflow.steps.
    ("flowsmith.actual_steps(", "OUT variable"),
    // Statements about pg_cron, which is not here, and which they ask for first.
    ("flowsmith.actual_cron_jobs(", "relation \"cron.job\" does not exist"),
    ("flowsmith.actual_cron_jobs(", "OUT variable"),
    ("flowsmith.schedule_cron_jobs(", "schema \"cron\" does not exist"),
    ("flowsmith.unschedule_cron_jobs(", "schema \"cron\" does not exist"),
    // What it runs is SQL of the flow file, with the rights of whoever applies it, in parentheses that it cannot leave.
    ("flowsmith.check_expression(", "text type variable is not sanitized"),
    // A notification is text in the end; `private` is for those who have a realtime.send of another kind.
    ("realtime.send(", "(cast \"jsonb\" value to \"text\" type)"),
    ("realtime.send(", "unused parameter \"private\""),
];

#[tokio::test]
async fn plpgsql_check_has_no_findings() {
    let database = flowsmith_engine().await;
    let c = &mut database.connect().await;
    if !has_extension(c, "plpgsql_check").await {
        return;
    }
    sqlx::raw_sql("create extension plpgsql_check").execute(&mut *c).await.unwrap();
    let mut findings: Vec<String> =
        sqlx::raw_sql(FINDINGS).fetch_all(&mut *c).await.unwrap().iter().map(|row| row.get(0)).collect();
    findings.retain(|finding| {
        !UNFOUNDED.iter().any(|(function, words)| finding.starts_with(function) && finding.contains(words))
    });
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
