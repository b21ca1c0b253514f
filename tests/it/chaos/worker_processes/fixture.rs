//! The fixture: a server, a pooler in front of it, two flows, and the HTTP server that they call.

use std::collections::HashMap;

use sqlx::postgres::PgConnectOptions;

use super::Size;
use super::client::Client;
use crate::engine::definitions::execute;
use crate::fixture::command::Project;
use crate::fixture::pooler::Pooler;
use crate::worker::http_server::HttpServer;
use crate::worker::restartable::Restartable;

/// Every committed query inserts a row for its task. There is no unique key, so a repetition shows.
const DONE: &str = "create table done (run_id uuid not null, step text not null, place integer not null)";

/// The rows of a run: `load`, three of `pack`, `weigh`, which fails at its first attempt, and `ship`.
const ORDER: &str = r#"flow: order
defaults: { max_attempts: 50, base_delay: 0, timeout: 10 }
steps:
  load: { handler: { sql: "insert into done values (:run_id, 'load', 0) returning '[0, 1, 2]'::json" } }
  pack:
    map: load
    handler: { sql: "insert into done values (:run_id, 'pack', (:input)::integer) returning place" }
  weigh:
    depends_on: [load]
    handler:
      sql: >-
        insert into done select run_id, step_slug, task_index / (attempts_count - 1)
        from pgflow.step_tasks where run_id = :run_id and step_slug = 'weigh' returning 1
  ship:
    depends_on: [pack, weigh]
    handler: { sql: "insert into done values (:run_id, 'ship', 0) returning (:input) -> 'pack'" }
"#;

pub(super) const ROWS_PER_ORDER: usize = 6;

const PARCEL: &str = r#"flow: parcel
defaults: { max_attempts: 50, base_delay: 0, timeout: 10 }
steps:
  label: { handler: { exec: "echo $FLOWSMITH_RUN_ID >> labels; echo 1" } }
  notify: { depends_on: [label], handler: { http: "${env:SHOP}/empty" } }
"#;

pub(super) struct Fixture {
    pub(super) size: Size,
    pub(super) server: Restartable,
    pub(super) pooler: Pooler,
    pub(super) project: Project,
    pub(super) routes: Routes,
    http: HttpServer,
}

/// The routes to the database.
#[derive(Clone)]
pub(super) struct Routes {
    pub(super) direct: PgConnectOptions,
    pub(super) pooled: PgConnectOptions,
}

impl Fixture {
    /// None if the machine has no pooler.
    pub(super) async fn create(size: Size) -> Option<Self> {
        let server = Restartable::start("chaos").await;
        let pooler = Pooler::in_front_of(server.socket(), Restartable::DATABASE, "chaos_pooler").await?;
        let http = HttpServer::start().await;
        let project = Project::new().with("DATABASE_URL", &server.url()).with("SHOP", &http.base());
        project.write("flows/order.yaml", ORDER);
        project.write("flows/parcel.yaml", PARCEL);
        project.compile();
        project.succeeds(&["install"]);
        project.succeeds(&["apply"]);
        execute(&mut server.connect().await, DONE).await;
        let routes = Routes { direct: server.options(), pooled: pooler.options() };
        Some(Self { size, server, pooler, project, routes, http })
    }

    /// A client for assertions, which does not use the pooler.
    pub(super) fn observer(&self) -> Client {
        Client::new(std::slice::from_ref(&self.routes.direct), self.size.random(2))
    }

    /// How often the program ran, by run.
    pub(super) fn labels(&self) -> HashMap<String, usize> {
        let mut labels = HashMap::new();
        for run in self.project.read("labels").lines() {
            *labels.entry(run.to_owned()).or_default() += 1;
        }
        labels
    }

    /// How often the request was sent, by run.
    pub(super) fn notes(&self) -> HashMap<String, usize> {
        let calls = self.http.calls().into_iter();
        calls.map(|(key, times)| (key.strip_suffix("/notify/0").unwrap().to_owned(), times)).collect()
    }
}
