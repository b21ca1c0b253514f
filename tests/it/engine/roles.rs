//! The roles deployer, worker and client: each has all privileges that its tasks need, and none of the others'.

use flowsmith_postgres::engine::doctor::{CheckStatus, doctor};
use flowsmith_postgres::engine::install::{InputStyle, install_with_roles};
use flowsmith_postgres::engine::roles::{Role, RolePrefix};
use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::Project;

/// A database with the three roles and a login role for each. Roles are shared by all databases of a server, so their
/// prefix is the name of the database.
pub(crate) struct Team {
    pub(crate) database: Database,
    pub(crate) prefix: RolePrefix,
}

impl Team {
    pub(crate) async fn new() -> Self {
        Self::on(Database::create().await).await
    }

    pub(crate) async fn on(database: Database) -> Self {
        let prefix = prefix(&database);
        install_with_roles(&database.options(), InputStyle::Separate, &prefix).await.unwrap();
        let team = Self { database, prefix };
        let c = &mut team.database.connect().await;
        for role in Role::ALL {
            let group = team.prefix.name(role);
            execute(c, &format!("create role {group}_login login in role {group}")).await;
        }
        execute(c, &format!("create role {} login", team.name("stranger"))).await;
        team
    }

    pub(crate) fn name(&self, of: &str) -> String {
        format!("{}_{of}", self.database.options().get_database().unwrap())
    }

    /// The login role that is a member of this role.
    pub(crate) fn login(&self, role: Role) -> String {
        format!("{}_login", self.prefix.name(role))
    }

    pub(crate) async fn connect(&self, login: &str) -> PgConnection {
        self.database.options().username(login).connect().await.unwrap()
    }

    pub(crate) async fn session(&self, role: Role) -> PgConnection {
        self.connect(&self.login(role)).await
    }

    /// A project whose commands connect as the deployer.
    pub(crate) fn project(&self) -> Project {
        let url = self.database.url().replace("user=postgres", &format!("user={}", self.login(Role::Deployer)));
        Project::new().with("DATABASE_URL", &url)
    }
}

pub(crate) fn prefix(database: &Database) -> RolePrefix {
    RolePrefix::new(database.options().get_database().unwrap()).unwrap()
}

/// Asserts that a statement fails because of insufficient privilege.
pub(crate) async fn refused(connection: &mut PgConnection, sql: &str) {
    let error = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect_err(sql);
    let error = error.into_database_error().unwrap().downcast::<PgDatabaseError>();
    assert_eq!(error.code(), "42501", "{sql}: {}", error.message());
}

pub(crate) const FLOW: &str = "  load: { base_delay: 0 }\n  each: { map: load }\n  send: { depends_on: [each] }";

/// Starts all queued tasks of the flow `order`, and returns them.
const START_TASKS: &str = "
    with read as (select array_agg(m.msg_id) as ids from pgmq.read('order', 60, 10) m)
    select t.* from read, pgflow.start_tasks('order', read.ids, '00000000-0000-0000-0000-000000000001') t";

#[tokio::test]
async fn roles_suffice_for_deploying_starting_and_working() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "defaults: { max_attempts: 2 }", FLOW);
    project.compile();
    project.exits_with(2, &["plan"]);
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
    project.succeeds(&["status"]);

    let client = &mut team.session(Role::Client).await;
    let run = text(client, "select run_id from flowsmith.start_flow('order', '{}')").await.unwrap();

    let worker = &mut team.session(Role::Worker).await;
    let register = "insert into pgflow.workers (worker_id, queue_name, function_name)
                    values ('00000000-0000-0000-0000-000000000001', 'order', 'test')";
    execute(worker, register).await;
    execute(worker, "update pgflow.workers set last_heartbeat_at = clock_timestamp()").await;
    execute(worker, START_TASKS).await;
    execute(worker, &format!("select pgflow.fail_task('{run}', 'load', 0, 'once')")).await;
    execute(worker, START_TASKS).await;
    execute(worker, &format!("select pgflow.complete_task('{run}', 'load', 0, '[1, 2]')")).await;
    execute(worker, START_TASKS).await;
    let batch = format!(
        "select pgflow.complete_tasks(array['{run}', '{run}']::uuid[], array['each', 'each'], array[0, 1], array['10', '20']::jsonb[])"
    );
    execute(worker, &batch).await;
    execute(worker, START_TASKS).await;
    execute(worker, "select pgflow.requeue_stalled_tasks()").await;
    execute(worker, &format!("select pgflow.complete_task('{run}', 'send', 0, '\"sent\"')")).await;
    execute(worker, "select pgflow.mark_worker_stopped('00000000-0000-0000-0000-000000000001')").await;
    execute(worker, "select pgflow.track_worker_function('test')").await;

    let seen = format!("select pgflow.get_run_with_states('{run}') -> 'run' ->> 'output'");
    assert_eq!(text(client, &seen).await.as_deref(), Some("{\"send\": \"sent\"}"));
    assert_eq!(
        text(client, "select count(*) from pgflow.step_tasks where status = 'completed'").await.as_deref(),
        Some("4")
    );
    let by_slug = "select pgflow.start_flow_with_states('order', '{}') -> 'run' ->> 'status'";
    assert_eq!(text(client, by_slug).await.as_deref(), Some("started"));
}

/// Failing a run archives its messages, which needs privileges too.
#[tokio::test]
async fn worker_can_fail_runs_and_skip_steps() {
    let team = Team::new().await;
    let project = team.project();
    project.flow(
        "order",
        "defaults: { max_attempts: 1 }",
        "  fails: {}\n  skips: { when_exhausted: skip-cascade }\n  after: { depends_on: [skips] }\n  waits: { depends_on: [fails], if: { fails: { go: true } } }",
    );
    project.compile();
    project.succeeds(&["apply"]);
    let client = &mut team.session(Role::Client).await;
    let run = text(client, "select run_id from flowsmith.start_flow('order', '{}')").await.unwrap();
    let worker = &mut team.session(Role::Worker).await;
    execute(
        worker,
        "insert into pgflow.workers (worker_id, queue_name, function_name)
         values ('00000000-0000-0000-0000-000000000001', 'order', 'test')",
    )
    .await;
    execute(worker, START_TASKS).await;
    execute(worker, &format!("select pgflow.fail_task('{run}', 'skips', 0, 'no')")).await;
    execute(worker, &format!("select pgflow.complete_task('{run}', 'fails', 0, '{{}}')")).await;
    let states = "select string_agg(step_slug || ' ' || status, ', ' order by step_slug) from pgflow.step_states";
    assert_eq!(
        text(client, states).await.as_deref(),
        Some("after skipped, fails completed, skips skipped, waits skipped")
    );
    execute(client, "select flowsmith.start_flow('order', '{}', 'aaaaaaaa-0000-0000-0000-000000000001')").await;
    execute(worker, START_TASKS).await;
    execute(worker, "select pgflow.fail_task('aaaaaaaa-0000-0000-0000-000000000001', 'fails', 0, 'no')").await;
    let status = "select status from pgflow.runs where run_id = 'aaaaaaaa-0000-0000-0000-000000000001'";
    assert_eq!(text(client, status).await.as_deref(), Some("failed"));
}

#[tokio::test]
async fn roles_cannot_exceed_their_privileges() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", FLOW);
    project.compile();
    project.succeeds(&["apply"]);
    let run = "00000000-0000-0000-0000-00000000000a";
    execute(&mut team.session(Role::Client).await, &format!("select flowsmith.start_flow('order', '{{}}', '{run}')"))
        .await;
    let deploying = [
        "select pgflow.create_flow('mine')",
        "select pgflow.add_step('order', 'mine')",
        "insert into pgflow.flows (flow_slug) values ('mine')",
        "update pgflow.steps set opt_timeout = 1",
        "select pgflow.delete_flow_and_data('order')",
        "select pgflow.ensure_flow_compiled('order', '{\"steps\": []}', true)",
        "select flowsmith.drop_flow('order')",
        "select flowsmith.reset_flow('order')",
        "select flowsmith.begin_migration('{}')",
        "delete from flowsmith.flow_versions",
        "insert into flowsmith.migrations (version, name) values ('20260101000000', 'mine')",
        "select pgmq.create('mine')",
        "select pgmq.drop_queue('order') from pgmq.meta",
    ];
    let starting = [
        "select pgflow.start_flow('order', '{}')",
        "select flowsmith.start_flow('order', '{}')",
        "select pgflow.start_flow_with_states('order', '{}')",
        "insert into pgflow.runs (flow_slug, input) values ('order', '{}')",
        "update pgflow.runs set input = '{}'",
        "delete from pgflow.runs",
    ];
    let complete = format!("select pgflow.complete_task('{run}', 'load', 0, '[]')");
    let fail = format!("select pgflow.fail_task('{run}', 'load', 0, 'no')");
    let working = [
        complete.as_str(),
        &fail,
        "select pgflow.start_tasks('order', array[1], null)",
        "select pgflow.complete_tasks('{}', '{}', '{}', '{}')",
        "select pgflow.requeue_stalled_tasks()",
        "select pgflow.set_vt_batch('order', array[1], array[1])",
        "select pgflow.poll_tasks('order', null)",
        "select pgflow.cancel_run(null, null)",
        "select pgflow.retry_run(null)",
        "update pgflow.step_tasks set status = 'failed'",
        "update pgflow.step_states set status = 'failed'",
        "update pgflow.runs set status = 'failed'",
        "insert into pgflow.workers (worker_id, queue_name, function_name) values (gen_random_uuid(), 'order', 'mine')",
        "select pgmq.read('order', 0, 1)",
        "select pgmq.send('order', '{}')",
        "delete from pgmq.q_order",
    ];
    for (who, parts) in [
        (Role::Deployer, [&starting[..], &working]),
        (Role::Worker, [&deploying, &starting]),
        (Role::Client, [&deploying, &working]),
    ] {
        let c = &mut team.session(who).await;
        for sql in parts.into_iter().flatten() {
            refused(c, sql).await;
        }
    }
    let stranger = &mut team.connect(&team.name("stranger")).await;
    for sql in deploying.iter().chain(&starting).chain(&working) {
        refused(stranger, sql).await;
    }
    for sql in [
        "select from pgflow.runs",
        "select from flowsmith.flow_versions",
        "select realtime.send('{}', 'e', 't', false)",
    ] {
        refused(stranger, sql).await;
    }
}

/// Deployers can also delete flows, and replace the steps of a flow without runs.
#[tokio::test]
async fn deployer_can_change_flows_of_another_deployer() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", FLOW);
    project.flow("gone", "", "  a: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let c = &mut team.database.connect().await;
    let group = team.prefix.name(Role::Deployer);
    execute(c, &format!("create role {} login in role {group}", team.name("second"))).await;
    let project = project
        .with("DATABASE_URL", &team.database.url().replace("user=postgres", &format!("user={}", team.name("second"))));
    project.flow("order", "", "  load: { timeout: 9 }\n  other: {}");
    std::fs::remove_file(project.path("flows/gone.yaml")).unwrap();
    project.succeeds(&["compile", "--delete", "gone@1"]);
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
    assert_eq!(text(c, "to_regclass('pgmq.q_gone')").await, None);
    let steps = "(select string_agg(step_slug, ',' order by step_index) from pgflow.steps)";
    assert_eq!(text(c, steps).await.as_deref(), Some("load,other"));
    assert_eq!(
        text(c, "select pg_get_userbyid(relowner) from pg_class where relname = 'q_order'").await.as_deref(),
        Some("postgres")
    );
}

/// Prepared statements belong to the session, so a security definer function could execute one that its caller prepared.
#[tokio::test]
async fn prepared_statements_of_caller_are_not_executed() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", "  load: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let client = &mut team.session(Role::Client).await;
    execute(
        client,
        "create function pg_temp.evil() returns bigint language plpgsql as $$
         begin
           if current_user <> session_user then raise exception 'ran as %', current_user; end if;
           return 1;
         end $$",
    )
    .await;
    for (purpose, types) in [
        ("send", "jsonb, integer"),
        ("archive", "bigint[]"),
        ("hide", "bigint[], integer[]"),
        ("delay", "bigint, integer"),
        ("read", "integer, integer"),
    ] {
        execute(client, &format!("prepare pgflow_{purpose}_order ({types}) as select pg_temp.evil()")).await;
    }
    execute(client, "select flowsmith.start_flow('order', '{}')").await;
    execute(client, "select pgflow.start_flow_with_states('order', '{}')").await;
}

#[tokio::test]
async fn deployer_can_adopt_existing_flows() {
    let team = Team::new().await;
    let deployer = &mut team.session(Role::Deployer).await;
    execute(deployer, "select pgflow.create_flow('order'), pgflow.add_step('order', 'load')").await;
    let project = team.project();
    project.succeeds(&["pull"]);
    project.succeeds(&["drift"]);
    project.succeeds(&["plan"]);
}

/// Security definer functions run with the privileges of the engine's owner, so they must not run code of the caller.
#[tokio::test]
async fn types_of_caller_are_not_used() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", FLOW);
    project.compile();
    project.succeeds(&["apply"]);
    let client = &mut team.session(Role::Client).await;
    let deployer = &mut team.session(Role::Deployer).await;
    for name in ["text", "jsonb", "uuid", "timestamptz", "int8"] {
        let own = format!(
            "create function pg_temp.evil(x pg_catalog.{name}) returns boolean language plpgsql as $$
                 begin
                   if current_user <> session_user then raise exception 'ran as %', current_user; end if;
                   return true;
                 end $$;
                 create domain pg_temp.{name} as pg_catalog.{name} check (pg_temp.evil(value))"
        );
        execute(client, &own).await;
        execute(deployer, &own).await;
    }
    execute(client, "select flowsmith.start_flow('order', '{}')").await;
    execute(client, "select pgflow.start_flow_with_states('order', '{}')").await;
    execute(deployer, "select pgflow.create_flow('mine'), pgflow.add_step('mine', 'load')").await;
    refused(deployer, "select flowsmith.reset_flow('mine')").await;
    refused(deployer, "select flowsmith.drop_flow('mine')").await;
    project.flow("other", "", FLOW);
    project.compile();
    let migration = project.read(&format!("migrations/{}", project.migrations().pop().unwrap()));
    execute(deployer, &migration).await;

    // Without the fixed search_path, the type of the caller is used.
    execute(&mut team.database.connect().await, "alter function flowsmith.start_flow set search_path = ''").await;
    let start = "select flowsmith.start_flow('order', '{}')";
    let error = sqlx::raw_sql(start).execute(&mut *client).await.unwrap_err();
    assert!(error.to_string().contains("ran as postgres"), "{error}");
}

/// Checks of objects that a role cannot read are omitted, not failed.
#[tokio::test]
async fn doctor_reports_within_privileges_of_role() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", FLOW);
    project.compile();
    project.succeeds(&["apply"]);
    for (role, passed) in [(Role::Deployer, 6), (Role::Worker, 1), (Role::Client, 1)] {
        let checks = doctor(&mut team.session(role).await).await.unwrap();
        let bad = [CheckStatus::Failed, CheckStatus::Warning];
        let bad: Vec<_> = checks.iter().filter(|check| bad.contains(&check.status)).collect();
        assert!(bad.is_empty(), "{role:?}: {bad:#?}");
        let tested = checks.iter().filter(|check| check.name.starts_with("self-test: "));
        assert_eq!(tested.filter(|check| check.status == CheckStatus::Ok).count(), passed, "{role:?}: {checks:#?}");
    }
    project.succeeds(&["doctor"]);
}
