//! Lints of the PL/pgSQL functions by plpgsql_check. PostgreSQL itself checks their statements only when they run.

use sqlx::Row;

use crate::fixture::command::flowsmith_engine;
use crate::fixture::has_extension;

/// All findings of plpgsql_check: errors, warnings, performance hints and SQL injection.
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

/// False positives: the function, and a part of the message.
const FALSE_POSITIVES: &[(&str, &str)] = &[
    // The default of an array parameter is a literal.
    ("pgflow.ensure_flow_compiled(", "(cast \"text\" value to \"text[]\" type)"),
    // Kept for workers of old levels: accepts their arguments and does nothing.
    ("pgflow.poll_for_tasks(", "routine is marked as VOLATILE"),
    ("pgflow.poll_for_tasks(", "unused parameter"),
    // Returns rows of a dynamic statement, because the name of the queue table is an argument.
    ("pgflow.set_vt_batch(", "OUT variable"),
    // These functions lock rows, so they must be volatile.
    ("pgflow._lock_tasks(", "routine is marked as VOLATILE"),
    ("pgflow._lock_stalled_tasks(", "routine is marked as VOLATILE"),
    // Ends with a `case` without `else`, which raises an error if nothing matches.
    ("pgflow._queue_statement(", "control reached end of function without RETURN"),
    // _queue_statement_call and _queue_statement quote names by %I. Values are numbers or quoted by %L.
    ("pgflow._archive_messages(", "text type variable is not sanitized"),
    ("pgflow._set_vt(", "text type variable is not sanitized"),
    ("pgflow._set_vt_skip_locked(", "text type variable is not sanitized"),
    ("pgflow._prepare_queue_statement(", "text type variable is not sanitized"),
    ("pgflow._read_messages(", "text type variable is not sanitized"),
    ("pgflow._enqueue_tasks(", "text type variable is not sanitized"),
    // Dynamic SQL, because the columns of pgflow.steps depend on the engine.
    ("flowsmith.actual_steps(", "OUT variable"),
    // These functions test for pg_cron first; the test database does not have it.
    ("flowsmith.actual_cron_jobs(", "relation \"cron.job\" does not exist"),
    ("flowsmith.actual_cron_jobs(", "OUT variable"),
    ("flowsmith.schedule_cron_jobs(", "schema \"cron\" does not exist"),
    ("flowsmith.unschedule_cron_jobs(", "schema \"cron\" does not exist"),
    // Calls the function of a trigger, whose name is not known before.
    ("flowsmith.event_inputs(", "routine is marked as VOLATILE"),
    ("flowsmith.event_inputs(", "OUT variable"),
    // A notification is text. `private` exists for compatibility with Supabase's realtime.send.
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
        !FALSE_POSITIVES.iter().any(|(function, words)| finding.starts_with(function) && finding.contains(words))
    });
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
