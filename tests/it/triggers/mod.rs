//! Triggers on real servers: the runs that they start, privileges, and drift.

mod broken;
mod cron;
pub(crate) mod pg_cron;
pub(crate) mod pgq;
mod privileges;
mod queues;
mod schedules;
mod table;

use sqlx::PgConnection;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::Project;

/// Writes the flow `order` with one step and these triggers.
pub(crate) fn order(project: &Project, head: &str, triggers: &str) {
    project.write("flows/order.yaml", &format!("flow: order\n{head}\nsteps:\n  load: {{}}\ntriggers:\n{triggers}\n"));
}

/// Compiles and applies, and returns the output of `apply`.
pub(crate) fn deploy(project: &Project) -> String {
    project.compile();
    project.succeeds(&["apply"]).all_output()
}

/// All runs, one per line: flow and input.
async fn runs(c: &mut PgConnection) -> String {
    let sql = "(select string_agg(r.flow_slug || ' ' || r.input, e'\\n' order by r.flow_slug, r.input::text) from pgflow.runs r)";
    text(c, sql).await.unwrap_or_default()
}

/// The table with the triggers.
const ORDERS: &str = "create table public.orders (id int primary key, plan text, status text not null default 'new')";

const PAID: &str = "  - name: paid
    table: public.orders
    on: [insert, update]
    when: \"new.status = 'paid' and old.status is distinct from 'paid'\"
    input_sql: \"jsonb_build_object('order_id', new.id, 'plan', new.plan)\"";

/// A database with the table, and a project.
async fn with_orders() -> (Database, Project, PgConnection) {
    let database = crate::fixture::command::flowsmith_engine().await;
    let project = Project::on(&database);
    let mut c = database.connect().await;
    execute(&mut c, ORDERS).await;
    (database, project, c)
}

/// A session that starts runs and is stopped before it commits, until the guard is released.
struct Stopped {
    guard: PgConnection,
}

impl Stopped {
    /// Stops every session that inserts into a table, before it commits.
    async fn before_commit(database: &Database, table: &str) -> Self {
        let mut guard = database.connect().await;
        execute(
            &mut guard,
            &format!(
                "create function public.stop() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock(42); return null; end';
                 create constraint trigger stop after insert on {table} deferrable initially deferred for each row execute function public.stop();
                 select pg_advisory_lock(42)"
            ),
        )
        .await;
        Self { guard }
    }

    /// Waits until a session has stopped, and returns its process id.
    async fn session(&mut self) -> String {
        let waiting = "(select min(pid) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database()))";
        let end = std::time::Instant::now() + crate::worker::WAIT_TIMEOUT;
        loop {
            if let Some(pid) = text(&mut self.guard, waiting).await {
                return pid;
            }
            assert!(std::time::Instant::now() < end, "no session has stopped");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Kills the stopped session, and stops no others.
    async fn kill(mut self, pid: &str) {
        execute(&mut self.guard, &format!("select pg_terminate_backend({pid})")).await;
        execute(&mut self.guard, "select pg_advisory_unlock(42); drop function public.stop() cascade").await;
    }
}
