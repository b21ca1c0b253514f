//! Triggers on real servers: the runs that they start, privileges, and drift.

mod broken;
mod cron;
pub(crate) mod pg_cron;
pub(crate) mod pgq;
mod privileges;
mod queues;
mod schedules;
mod table;

use std::time::{Duration, Instant};

use sqlx::PgConnection;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::Project;

/// Writes the flow `order` with one step and these triggers.
fn order(project: &Project, head: &str, triggers: &str) {
    project.write("flows/order.yaml", &format!("flow: order\n{head}\nsteps:\n  load: {{}}\ntriggers:\n{triggers}\n"));
}

/// Compiles and applies, and returns the output of `apply`.
fn deploy(project: &Project) -> String {
    project.compile();
    project.succeeds(&["apply"]).all_output()
}

/// All runs, one per line: flow and input.
async fn runs(c: &mut PgConnection) -> String {
    let sql = "(select string_agg(r.flow_slug || ' ' || r.input, e'\\n' order by r.flow_slug, r.input::text) from pgflow.runs r)";
    text(c, sql).await.unwrap_or_default()
}

/// Transactions that insert into the table do not end in a session that is named `dying`.
async fn hold_commits(c: &mut PgConnection, table: &str) {
    let sql = format!(
        "create function public.hold_commit() returns trigger language plpgsql as $$ begin
           if current_setting('application_name') = 'dying' then perform pg_sleep(60); end if;
           return null;
         end $$;
         create constraint trigger hold_commit after insert on {table} deferrable initially deferred
         for each row execute function public.hold_commit()"
    );
    execute(c, &sql).await;
}

/// Waits until the session that is named `dying` commits.
async fn commit_is_held(c: &mut PgConnection) {
    let held = "(select count(*) = 1 from pg_stat_activity where datname = current_database() and application_name = 'dying' \
                and wait_event = 'PgSleep')";
    let end = Instant::now() + Duration::from_secs(60);
    while text(c, held).await.as_deref() != Some("true") {
        assert!(Instant::now() < end, "the session does not commit");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const KILL_DYING: &str = "select pg_terminate_backend(pid) from pg_stat_activity \
                          where datname = current_database() and application_name = 'dying'";

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
