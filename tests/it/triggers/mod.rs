//! Triggers on real servers: what starts runs, what does not, who may, and what drift sees.

mod broken;
mod cron;
mod intake;
pub(crate) mod pg_cron;
mod rights;
mod schedule;
mod table;

use sqlx::PgConnection;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::Project;

/// Writes the flow `order` with one step and these triggers.
fn order(project: &Project, head: &str, triggers: &str) {
    project.write("flows/order.yaml", &format!("flow: order\n{head}\nsteps:\n  load: {{}}\ntriggers:\n{triggers}\n"));
}

/// Compiles and applies; gives what `apply` said.
fn deploy(project: &Project) -> String {
    project.compile();
    project.done(&["apply"]).both()
}

/// The runs there are: flow and input, one a line.
async fn runs(c: &mut PgConnection) -> String {
    let sql = "(select string_agg(r.flow_slug || ' ' || r.input, e'\\n' order by r.flow_slug, r.input::text) from pgflow.runs r)";
    text(c, sql).await.unwrap_or_default()
}

/// The table that the triggers are on.
const ORDERS: &str = "create table public.orders (id int primary key, plan text, status text not null default 'new')";

const PAID: &str = "  - name: paid
    table: public.orders
    on: [insert, update]
    when: \"new.status = 'paid' and old.status is distinct from 'paid'\"
    input_sql: \"jsonb_build_object('order_id', new.id, 'plan', new.plan)\"";

/// A database with the table, and a project on it.
async fn with_orders() -> (Database, Project, PgConnection) {
    let database = crate::fixture::command::ours().await;
    let project = Project::on(&database);
    let mut c = database.connect().await;
    execute(&mut c, ORDERS).await;
    (database, project, c)
}
