//! Owners of tables and deployers against the role that looks at a database: no command but `apply` parses, plans or evaluates an
//! expression of a trigger, and `apply` does so as the role that declares the trigger.

use flowsmith_postgres::engine::roles::Role;
use sqlx::PgConnection;

use crate::engine::definitions::{execute, text};
use crate::engine::roles::{Team, refused};
use crate::fixture::command::Project;
use crate::triggers::{deploy, order};

/// Every command that looks at triggers.
const LOOKING: &[&[&str]] = &[
    &["status"],
    &["plan"],
    &["drift"],
    &["doctor"],
    &["pull", "--dry-run"],
    &["graph", "--from", "live"],
    &["compile", "--from-live", "--check"],
];

/// A function that records the role that runs it, and types, operators and casts that call it. The attacker owns them.
fn arsenal(attacker: &str) -> String {
    format!(
        r"
        create schema trap authorization {attacker};
        create table trap.calls (role text);
        grant usage on schema trap to public;
        grant insert, select on trap.calls to public;
        set role {attacker};
        create function trap.probe() returns boolean language plpgsql as $$
          begin insert into trap.calls values (current_user); return true; end $$;
        create domain trap.text as pg_catalog.text check (trap.probe());
        create domain trap.int as pg_catalog.int4 default 1 check (trap.probe());
        create type trap.pair as (a trap.text, b int);
        create function trap.to_json(trap.pair) returns json language sql as 'select trap.probe(); select ''1''::json';
        create cast (trap.pair as json) with function trap.to_json(trap.pair);
        create function trap.equal(trap.pair, text) returns boolean language sql as 'select trap.probe()';
        create operator trap.= (leftarg = trap.pair, rightarg = text, function = trap.equal);
        create view trap.seen as select trap.probe() as value;
        grant select on trap.seen to public;
        create function trap.folded() returns boolean immutable language sql as 'select trap.probe()';
        reset role"
    )
}

/// Expressions that run the probe when they are parsed, planned or evaluated.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("a literal of an array of a domain", "'{a}'::trap.text[] is not null"),
    ("a literal of a composite type with a domain", "('(a,1)'::trap.pair) is not null"),
    ("a domain", "'a'::trap.text is not null"),
    ("an immutable function", "trap.folded()"),
    ("a view", "(select value from trap.seen limit 1)"),
    ("an operator", "('(a,1)'::trap.pair) operator(trap.=) 'a'"),
    ("a cast", "('(a,1)'::trap.pair)::json is not null"),
    ("a second statement", "true) then 1 end; reset role; select trap.probe(); select case when (true"),
];

/// The roles that ran the probe.
async fn callers(c: &mut PgConnection) -> Vec<String> {
    let callers = text(c, "(select string_agg(distinct role, ' ' order by role) from trap.calls)").await;
    execute(c, "truncate trap.calls").await;
    callers.unwrap_or_default().split_whitespace().map(ToOwned::to_owned).collect()
}

/// Asserts that the probe fires when an expression is evaluated; else the tests below could not fail.
async fn assert_armed(c: &mut PgConnection) {
    for (what, expression) in EXPRESSIONS.iter().filter(|(what, _)| *what != "a second statement") {
        execute(c, &format!("select {expression}")).await;
        assert_eq!(callers(c).await, ["postgres"], "{what}");
    }
}

/// The URL of each role that may look: the superuser, the owner of the tables, the deployer, the worker.
fn lookers(team: &Team) -> [(&'static str, String); 4] {
    let url = |login: &str| team.database.url().replace("user=postgres", &format!("user={login}"));
    [
        ("superuser", team.database.url()),
        ("owner", url(&team.name("stranger"))),
        ("deployer", url(&team.login(Role::Deployer))),
        ("worker", url(&team.login(Role::Worker))),
    ]
}

/// Runs every looking command as every role, and asserts that none ran the probe.
async fn look(team: &Team, project: Project, c: &mut PgConnection, case: &str) -> Project {
    let mut project = project;
    for (role, url) in lookers(team) {
        project = project.with("DATABASE_URL", &url);
        for command in LOOKING {
            let output = project.run(command).all_output();
            assert_eq!(callers(c).await, [""; 0], "{case}: {role}: {command:?}: {output}");
        }
    }
    let deployer = lookers(team)[2].1.clone();
    project.with("DATABASE_URL", &deployer)
}

/// A team whose deployers may create triggers on a table of an ordinary role.
async fn team_with_table() -> (Team, Project, PgConnection) {
    let team = Team::new().await;
    let mut c = team.database.connect().await;
    let (owner, deployers) = (team.name("stranger"), team.prefix.name(Role::Deployer));
    execute(&mut c, &arsenal(&owner)).await;
    let table = format!(
        "create schema shop authorization {owner}; set role {owner};
         create table shop.orders (id int, tags text[], plan text);
         grant usage on schema shop to public; grant trigger on shop.orders to {deployers}; reset role"
    );
    execute(&mut c, &table).await;
    let project = team.project();
    (team, project, c)
}

#[tokio::test]
async fn changed_definition_of_a_trigger_runs_nothing() {
    let (team, project, mut c) = team_with_table().await;
    assert_armed(&mut c).await;
    order(
        &project,
        "",
        "  - { name: t, table: shop.orders, when: new.id > 0, input_sql: to_jsonb(new.id) }\n  - { name: q, queue: \"pgmq:q\", input_sql: event.data }",
    );
    deploy(&project);
    let mut project = project;
    for (what, expression) in EXPRESSIONS {
        // As if a deployer had found a way to write both tables.
        let sql = format!(
            "update flowsmith.flow_versions set definition = jsonb_set(jsonb_set(definition, '{{triggers,1,source,table,when}}', to_jsonb({0}::text)),
               '{{triggers,0,source,queue,input_sql}}', to_jsonb('to_jsonb(' || {0}::text || ')'));
             update flowsmith.triggers t set definition = e.definition from flowsmith.expected_triggers() e where e.flow = t.flow and e.name = t.name",
            flowsmith_core::sql::quote::literal(expression)
        );
        execute(&mut c, &sql).await;
        project = look(&team, project, &mut c, what).await;
    }
    let drift = project.exits_with(3, &["drift"]);
    assert!(drift.contains("its function was modified manually"), "{drift}");
}

#[tokio::test]
async fn changed_table_of_a_trigger_runs_nothing_and_is_reported() {
    let (team, project, mut c) = team_with_table().await;
    order(
        &project,
        "",
        "  - { name: t, table: shop.orders, when: \"new.tags = '{a}'\", input_sql: to_jsonb(new.plan) }",
    );
    deploy(&project);
    let owner = team.name("stranger");
    let mut project = project;
    for (what, sql, reported) in [
        (
            "a type of a column",
            "alter table shop.orders alter column tags type trap.text[]",
            "whose type is now trap.text[] of the role",
        ),
        (
            "a generated column",
            "alter table shop.orders add column g boolean generated always as (id > 0 and trap.folded()) stored",
            "",
        ),
        ("a default", "alter table shop.orders alter column plan set default trap.folded()::text", ""),
        ("a domain as a column", "alter table shop.orders add column d trap.int", ""),
        (
            "a row policy",
            "create policy p on shop.orders using (trap.probe()); alter table shop.orders enable row level security, force row level security",
            "",
        ),
        ("an index on an expression", "create index on shop.orders ((trap.folded()))", ""),
    ] {
        execute(&mut c, &format!("set role {owner}; {sql}; reset role; truncate trap.calls")).await;
        project = look(&team, project, &mut c, what).await;
        if !reported.is_empty() {
            let drift = project.exits_with(3, &["drift"]);
            assert!(drift.contains(reported), "{what}: {drift}");
        }
    }
}

/// `apply` of the superuser evaluates expressions as the deployers, and the function that it creates belongs to them.
#[tokio::test]
async fn apply_tries_expressions_as_the_deployers() {
    let (team, project, mut c) = team_with_table().await;
    let deployers = team.prefix.name(Role::Deployer);
    let mut project = project.with("DATABASE_URL", &team.database.url());
    for (what, expression) in EXPRESSIONS.iter().filter(|(what, _)| *what != "a second statement") {
        let version = format!("version: {}", 1 + EXPRESSIONS.iter().position(|(other, _)| other == what).unwrap());
        let yaml = |text: String| serde_json::to_string(&text).unwrap();
        let triggers = format!(
            "  - {{ name: t, table: shop.orders, when: {} }}\n  - {{ name: q, queue: \"pgmq:q\", input_sql: {} }}",
            yaml((*expression).to_owned()),
            yaml(format!("to_jsonb({expression})")),
        );
        order(&project, &version, &triggers);
        deploy(&project);
        let callers = callers(&mut c).await;
        assert!(callers.iter().all(|caller| *caller == deployers), "{what}: {callers:?}");
    }
    let owners = "(select string_agg(distinct pg_get_userbyid(proowner)::text, ' ') from pg_proc where pronamespace = 'flowsmith_triggers'::regnamespace)";
    assert_eq!(text(&mut c, owners).await.unwrap(), deployers);
    // Neither can an expression switch to the role of the session.
    execute(&mut c, &format!("grant usage, create on schema trap to {deployers}")).await;
    let deployer = &mut team.session(Role::Deployer).await;
    let switch = "create function trap.switch() returns boolean language plpgsql as $$ begin set local role postgres; perform trap.probe(); return true; end $$; create domain trap.switching as text check (trap.switch())";
    execute(deployer, switch).await;
    order(
        &project,
        "version: 20",
        "  - { name: t, table: shop.orders, when: \"'{a}'::trap.switching[] is not null\" }",
    );
    project.compile();
    let output = project.exits_with(5, &["apply"]);
    assert!(output.contains("FS996"), "{output}");
    assert_eq!(callers(&mut c).await, [""; 0]);
    project = project.with("DATABASE_URL", &team.database.url());
    drop(project);
}

/// The message of a refused expression never contains data that its role can read.
#[tokio::test]
async fn messages_of_refused_expressions_carry_no_data() {
    let (team, project, mut c) = team_with_table().await;
    let deployers = team.prefix.name(Role::Deployer);
    execute(
        &mut c,
        &format!(
            "create table public.secret as select 's3cr3t' as value; grant select on public.secret to {deployers}"
        ),
    )
    .await;
    for expression in [
        "exists (select from public.secret where (select value from public.secret)::int > new.id)",
        "query_to_xml('select ' || (select value from public.secret), true, true, '') is not null",
        "exists (select from public.secret where value::int = 1)",
        "(select value from public.secret)::int > 0",
    ] {
        order(
            &project,
            "",
            &format!("  - {{ name: t, table: shop.orders, when: {} }}", serde_json::to_string(expression).unwrap()),
        );
        project.compile();
        for command in
            [&["plan", "--format", "markdown"][..], &["plan"], &["status"], &["apply"], &["drift"], &["doctor"]]
        {
            let output = project.run(command).all_output();
            assert!(!output.contains("s3cr3t"), "{expression}: {command:?}: {output}");
        }
        let _ = std::fs::remove_dir_all(project.path("migrations"));
        execute(&mut c, "delete from flowsmith.migrations; delete from flowsmith.flow_versions; delete from flowsmith.triggers; drop trigger if exists \"flowsmith:order:t\" on shop.orders; drop function if exists flowsmith_triggers.\"flowsmith:order:t\"()").await;
        execute(&mut c, "select flowsmith.drop_flow('order')").await;
    }
}

/// A superuser without deployers does not become the owner of a function that runs on the rows of another role.
#[tokio::test]
async fn superuser_declares_no_trigger_on_the_table_of_an_ordinary_role() {
    let (team, project, mut c) = team_with_table().await;
    let deployers = team.prefix.name(Role::Deployer);
    execute(&mut c, &format!("revoke all on schema flowsmith_triggers from {deployers}")).await;
    let project = project.with("DATABASE_URL", &team.database.url());
    order(&project, "", "  - { name: t, table: shop.orders }");
    project.compile();
    let output = project.exits_with(5, &["apply"]);
    assert!(output.contains("would run with the privileges of the superuser postgres on shop.orders"), "{output}");
    assert!(output.contains("flowsmith install --grants"), "{output}");
}

#[tokio::test]
async fn row_that_someone_wrote_starts_no_runs_and_is_reported() {
    let (team, project, mut c) = team_with_table().await;
    order(&project, "", "  - { name: q, queue: \"pgmq:q\" }");
    deploy(&project);
    execute(&mut c, "select pgmq.create('q'); select pgmq.send('q', '{}')").await;
    let rows = "insert into flowsmith.triggers (flow, name, kind, definition, since) values
        ('order', 'written', 'queue', '{\"name\": \"written\", \"source\": {\"queue\": {\"kind\": \"pgmq\", \"queue\": \"q\", \"input_sql\": \"to_jsonb(trap.probe())\"}}}', '2020-01-01'),
        ('order', 'clock', 'cron', '{\"name\": \"clock\", \"source\": {\"cron\": {\"schedule\": \"* * * * *\", \"input\": {}}}}', '2020-01-01')";
    refused(&mut team.session(Role::Deployer).await, rows).await;
    refused(&mut team.session(Role::Worker).await, rows).await;
    execute(&mut c, rows).await;
    // The row of the declared trigger is changed too.
    execute(&mut c, "update flowsmith.triggers set definition = jsonb_set(definition, '{source,queue,input_sql}', '\"to_jsonb(trap.probe())\"') where name = 'q'").await;
    let worker = &mut team.session(Role::Worker).await;
    assert!(flowsmith_worker::triggers::queue_triggers(worker).await.unwrap().is_empty());
    assert!(flowsmith_worker::triggers::start_due_runs(worker).await.unwrap().started.is_empty());
    for sql in [
        "select flowsmith.fire_schedule('order', 'clock')",
        "select * from flowsmith.event_inputs('order', 'q', 'pgmq:q:1', '{1}', '{2020-01-01}', '{a}', '{1}')",
        "select flowsmith.consume_event('order', 'written', 'pgmq:q:1', 1, null, '{}')",
    ] {
        let error = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *worker).await.unwrap_err();
        assert!(error.to_string().contains("has no active trigger"), "{sql}: {error}");
    }
    assert_eq!(callers(&mut c).await, [""; 0]);
    assert_eq!(text(&mut c, "(select count(*) from pgflow.runs)").await.unwrap(), "0");
    let drift = project.exits_with(3, &["drift"]);
    for words in [
        "trigger written: is registered, but no current version declares it; it starts no runs",
        "trigger clock: is registered, but no current version declares it; it starts no runs",
        "trigger q: is registered with another definition, so it starts no runs",
    ] {
        assert!(drift.contains(words), "{words}: {drift}");
    }
    assert!(project.run(&["doctor"]).all_output().contains("trigger written: is registered"));
}

/// The input of a queue event is computed with the privileges of the deployers, not with those of the worker.
#[tokio::test]
async fn input_expression_of_a_queue_runs_as_the_deployers() {
    let (team, project, mut c) = team_with_table().await;
    order(
        &project,
        "",
        "  - { name: q, queue: \"pgmq:q\", input_sql: \"jsonb_build_object('as', current_user, 'data', event.data)\" }",
    );
    deploy(&project);
    let worker_role = team.prefix.name(Role::Worker);
    execute(&mut c, &format!("select pgmq.create('q'); select pgmq.send('q', '7'); grant all on all tables in schema pgmq to {worker_role}; grant usage on all sequences in schema pgmq to {worker_role}")).await;
    let worker = &mut team.session(Role::Worker).await;
    let trigger = flowsmith_worker::triggers::queue_triggers(worker).await.unwrap().remove(0);
    let batch = flowsmith_worker::triggers::consume(worker, &trigger).await.unwrap();
    assert!(batch.failed.is_empty() && batch.started == 1, "{batch:?}");
    let input = text(&mut c, "(select input::text from pgflow.runs)").await.unwrap();
    assert_eq!(input, format!("{{\"as\": \"{}\", \"data\": 7}}", team.prefix.name(Role::Deployer)));

    // A function that another role replaced is not called.
    execute(&mut c, "create or replace function flowsmith_triggers.\"flowsmith:order:q\"(bigint, timestamptz, text, jsonb) returns jsonb language plpgsql security definer set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as 'begin perform trap.probe(); return to_jsonb(1); end'; select pgmq.send('q', '8')").await;
    let batch = flowsmith_worker::triggers::consume(worker, &trigger).await.unwrap();
    assert!(batch.failed[0].error.to_string().contains("was modified or has another owner"), "{batch:?}");
    assert_eq!(callers(&mut c).await, [""; 0]);
}
