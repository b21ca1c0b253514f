//! The functions that define flows, and their error messages.

use flowsmith_postgres::engine::install::{InputStyle, install};
use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::fixture::Database;

/// A database with flowsmith's engine.
pub(crate) async fn with_engine() -> Database {
    let database = Database::create().await;
    install(&database.options(), InputStyle::Separate).await.unwrap();
    database
}

/// The value of a SQL expression, as text.
pub(crate) async fn text(connection: &mut PgConnection, expression: &str) -> Option<String> {
    let sql = format!("select ({expression})::text");
    sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await.unwrap().get(0)
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// Runs a statement that must fail, and returns SQLSTATE, message and hint.
async fn error(connection: &mut PgConnection, sql: &str) -> (String, String, Option<String>) {
    let error = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap_err();
    let error = error.into_database_error().unwrap().downcast::<PgDatabaseError>();
    (error.code().to_owned(), error.message().to_owned(), error.hint().map(str::to_owned))
}

async fn fails(connection: &mut PgConnection, sql: &str, message: &str) {
    assert_eq!(error(connection, sql).await.1, message, "{sql}");
}

#[tokio::test]
async fn slugs_are_validated() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    for (slug, valid) in [
        ("'a'", true),
        ("'_a1'", true),
        ("repeat('a', 128)", true),
        ("repeat('a', 129)", false),
        ("''", false),
        ("null", false),
        ("'run'", false),
        ("'Run'", true),
        ("'1a'", false),
        ("'a-b'", false),
        ("'it''s'", false),
        ("E'a\\n'", false),
        ("'ä'", false),
    ] {
        let found = text(c, &format!("pgflow.is_valid_slug({slug})")).await;
        assert_eq!(found.as_deref(), Some(if valid { "true" } else { "false" }), "{slug}");
    }
}

#[tokio::test]
async fn retry_delays_double_and_saturate() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    for (arguments, seconds) in [
        ("5, 0", "5"),
        ("5, 1", "10"),
        ("1.5, 1", "3"),
        ("0.3, 1", "0"),
        ("5, 40", "2147483647"),
        ("1, 2147483647", "2147483647"),
        ("0, 2147483647", "0"),
    ] {
        let found = text(c, &format!("pgflow.calculate_retry_delay({arguments})")).await;
        assert_eq!(found.as_deref(), Some(seconds), "{arguments}");
    }
}

#[tokio::test]
async fn flow_is_created_once_with_defaults_and_queue() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let row = "(f.flow_slug, f.opt_max_attempts, f.opt_base_delay, f.opt_timeout)";
    let made = text(c, &format!("select {row} from pgflow.create_flow('order') f")).await;
    assert_eq!(made.as_deref(), Some("(order,3,5,60)"));
    assert_eq!(text(c, "select count(*) from pgmq.meta where queue_name = 'order'").await.as_deref(), Some("1"));
    let again = text(c, &format!("select {row} from pgflow.create_flow('order', 9, 9, 9) f")).await;
    assert_eq!(again, made);
    let nulls = text(c, &format!("select {row} from pgflow.create_flow('nulls', null, 0, null) f")).await;
    assert_eq!(nulls.as_deref(), Some("(nulls,3,0,60)"));

    execute(c, "select pgmq.drop_queue('order'); select pgflow.create_flow('order')").await;
    assert_eq!(text(c, "to_regclass('pgmq.q_order')").await.as_deref(), Some("pgmq.q_order"));
}

#[tokio::test]
async fn invalid_flows_are_refused() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let check = |name: &str| format!("new row for relation \"flows\" violates check constraint \"{name}\"");
    for slug in ["''", "'it''s'", "'a;b'", "'\"'", "'run'"] {
        fails(c, &format!("select pgflow.create_flow({slug})"), &check("slug_is_valid")).await;
    }
    fails(
        c,
        "select pgflow.create_flow(null)",
        "null value in column \"flow_slug\" of relation \"flows\" violates not-null constraint",
    )
    .await;
    fails(c, "select pgflow.create_flow('f', -1)", &check("opt_max_attempts_is_nonnegative")).await;
    fails(c, "select pgflow.create_flow('f', 1, -1)", &check("opt_base_delay_is_nonnegative")).await;
    fails(c, "select pgflow.create_flow('f', 1, 1, 0)", &check("opt_timeout_is_positive")).await;
    assert_eq!(text(c, "select count(*) from pgmq.meta").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn slugs_invalid_as_queue_names_are_refused() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, &format!("select pgflow.create_flow('{}')", "a".repeat(47))).await;
    let long = "b".repeat(48);
    let (state, message, hint) = error(c, &format!("select pgflow.create_flow('{long}')")).await;
    assert_eq!(state, "42622");
    assert_eq!(message, format!("flow slug \"{long}\" has 48 characters, but a queue name can have at most 47"));
    assert_eq!(hint.as_deref(), Some("The slug also names the queue in pgmq: choose a shorter one."));

    execute(c, "select pgflow.create_flow('Order')").await;
    let (state, message, hint) = error(c, "select pgflow.create_flow('order')").await;
    assert_eq!(state, "23505");
    assert_eq!(message, "flow slug \"order\" differs only in case from the existing flow \"Order\"");
    assert_eq!(hint.as_deref(), Some("Both would have the queue table pgmq.q_order: choose another slug."));
}

#[tokio::test]
async fn steps_are_added_in_order_and_once() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, "select pgflow.create_flow('f')").await;
    let row = "(s.step_slug, s.step_type, s.step_index, s.deps_count, s.opt_max_attempts, s.opt_start_delay, s.when_unmet, s.when_exhausted)";
    let a = text(c, &format!("select {row} from pgflow.add_step('f', 'a') s")).await;
    assert_eq!(a.as_deref(), Some("(a,single,0,0,,,skip,fail)"));
    let b =
        text(c, &format!("select {row} from pgflow.add_step('f', 'b', null, when_unmet => null, step_type => null) s"))
            .await;
    assert_eq!(b.as_deref(), Some("(b,single,1,0,,,skip,fail)"));
    let d = text(c, &format!("select {row} from pgflow.add_step('f', 'd', array['b', 'a', 'a'], 4, start_delay => 9, when_exhausted => 'skip') s")).await;
    assert_eq!(d.as_deref(), Some("(d,single,2,2,4,9,skip,skip)"));
    let m =
        text(c, &format!("select {row} from pgflow.add_step('f', 'm', array['d', 'd'], step_type => 'map') s")).await;
    assert_eq!(m.as_deref(), Some("(m,map,3,1,,,skip,fail)"));
    let again = text(c, &format!("select {row} from pgflow.add_step('f', 'd', array['a', 'm'], 5) s")).await;
    assert_eq!(again, d);
    let deps =
        text(c, "select string_agg(dep_slug || '>' || step_slug, ' ' order by step_slug, dep_slug) from pgflow.deps")
            .await;
    assert_eq!(deps.as_deref(), Some("a>d b>d d>m"));
}

#[tokio::test]
async fn invalid_steps_are_refused() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b')")
        .await;
    let check = |name: &str| format!("new row for relation \"steps\" violates check constraint \"{name}\"");
    let foreign = |table: &str, name: &str| {
        format!("insert or update on table \"{table}\" violates foreign key constraint \"{name}\"")
    };
    for (arguments, message) in [
        (
            "'f', 'm', array['a', 'b'], step_type => 'map'",
            "Map step \"m\" can have at most one dependency, but 2 were provided: a, b".to_owned(),
        ),
        (
            "'f', 'a', array['a', 'b'], step_type => 'map'",
            "Map step \"a\" can have at most one dependency, but 2 were provided: a, b".to_owned(),
        ),
        ("'f', 'x', array['nope']", foreign("deps", "deps_flow_slug_dep_slug_fkey")),
        ("'nope', 'x'", foreign("steps", "steps_flow_slug_fkey")),
        ("'f', 'x', array['x']", "new row for relation \"deps\" violates check constraint \"deps_check\"".to_owned()),
        (
            "'f', 'x', array['a', null]",
            "null value in column \"dep_slug\" of relation \"deps\" violates not-null constraint".to_owned(),
        ),
        (
            "'f', null",
            "null value in column \"step_slug\" of relation \"steps\" violates not-null constraint".to_owned(),
        ),
        ("'f', 'it''s'", check("steps_step_slug_check")),
        ("'f', 'run'", check("steps_step_slug_check")),
        ("'f', 'x', step_type => 'loop'", check("steps_step_type_check")),
        ("'f', 'x', max_attempts => -1", check("opt_max_attempts_is_nonnegative")),
        ("'f', 'x', base_delay => -1", check("opt_base_delay_is_nonnegative")),
        ("'f', 'x', timeout => 0", check("opt_timeout_is_positive")),
        ("'f', 'x', start_delay => -1", check("opt_start_delay_is_nonnegative")),
        ("'f', 'x', required_input_pattern => '[]'", check("required_input_pattern_is_object")),
        ("'f', 'x', forbidden_input_pattern => '1'", check("forbidden_input_pattern_is_object")),
        ("'f', 'x', when_unmet => 'stop'", check("when_unmet_is_valid")),
        ("'f', 'x', when_exhausted => 'stop'", check("when_exhausted_is_valid")),
    ] {
        fails(c, &format!("select pgflow.add_step({arguments})"), &message).await;
    }
    assert_eq!(text(c, "select count(*) from pgflow.steps").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn concurrent_definitions_create_one_flow_with_distinct_indexes() {
    let database = with_engine().await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..8 {
        let mut c = database.connect().await;
        calls.spawn(async move {
            execute(&mut c, "select pgflow.create_flow('f')").await;
            for i in 0..10 {
                execute(
                    &mut c,
                    &format!("select pgflow.add_step('f', 's{n}_{i}'); select pgflow.add_step('f', 'shared_{i}')"),
                )
                .await;
            }
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    let c = &mut database.connect().await;
    assert_eq!(text(c, "select count(*) from pgflow.flows").await.as_deref(), Some("1"));
    assert_eq!(text(c, "select count(*) from pgmq.meta").await.as_deref(), Some("1"));
    let indexes =
        text(c, "select (count(*), count(distinct step_index), min(step_index), max(step_index)) from pgflow.steps")
            .await;
    assert_eq!(indexes.as_deref(), Some("(90,90,0,89)"));
}

#[tokio::test]
async fn second_of_concurrent_flows_differing_in_case_is_refused() {
    let database = with_engine().await;
    let (mut first, mut second) = (database.connect().await, database.connect().await);
    execute(&mut first, "begin; select pgflow.create_flow('Order')").await;
    let waiting = tokio::spawn(async move { error(&mut second, "select pgflow.create_flow('order')").await.1 });
    execute(&mut first, "commit").await;
    assert_eq!(waiting.await.unwrap(), "flow slug \"order\" differs only in case from the existing flow \"Order\"");
}

#[tokio::test]
async fn flow_is_deleted_with_its_data_and_queue() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', array['a']);
         select pgflow.create_flow('kept'); select pgflow.add_step('kept', 'a');
         insert into pgflow.runs (run_id, flow_slug, input) values ('00000000-0000-0000-0000-000000000001', 'f', '{}');
         insert into pgflow.step_states (flow_slug, run_id, step_slug) values ('f', '00000000-0000-0000-0000-000000000001', 'a');
         insert into pgflow.step_tasks (flow_slug, run_id, step_slug) values ('f', '00000000-0000-0000-0000-000000000001', 'a');
         select pgflow.delete_flow_and_data('f'); select pgflow.delete_flow_and_data('f')",
    )
    .await;
    for (table, rows) in
        [("flows", "1"), ("steps", "1"), ("deps", "0"), ("runs", "0"), ("step_states", "0"), ("step_tasks", "0")]
    {
        assert_eq!(text(c, &format!("select count(*) from pgflow.{table}")).await.as_deref(), Some(rows), "{table}");
    }
    assert_eq!(text(c, "select string_agg(queue_name, ' ') from pgmq.meta").await.as_deref(), Some("kept"));
}

const SHAPE: &str = r#"{"steps": [{"slug": "a"}, {"slug": "m", "stepType": "map", "dependencies": ["a"], "whenUnmet": "fail",
    "requiredInputPattern": {"defined": true, "value": {"x": 1}}, "options": {"startDelay": 7}}], "options": {"timeout": 9}}"#;

#[tokio::test]
async fn flow_shape_round_trips() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, &format!("select pgflow._create_flow_from_shape('f', '{SHAPE}')")).await;
    let options = text(c, "select (f.opt_max_attempts, f.opt_base_delay, f.opt_timeout, s.opt_start_delay) from pgflow.flows f, pgflow.steps s where s.step_slug = 'm'").await;
    assert_eq!(options.as_deref(), Some("(3,5,9,7)"));
    let expected = r#"{"steps": [
        {"slug": "a", "stepType": "single", "dependencies": [], "whenUnmet": "skip", "whenExhausted": "fail",
         "requiredInputPattern": {"defined": false}, "forbiddenInputPattern": {"defined": false}},
        {"slug": "m", "stepType": "map", "dependencies": ["a"], "whenUnmet": "fail", "whenExhausted": "fail",
         "requiredInputPattern": {"defined": true, "value": {"x": 1}}, "forbiddenInputPattern": {"defined": false}}]}"#;
    assert_eq!(text(c, &format!("pgflow._get_flow_shape('f') = '{expected}'")).await.as_deref(), Some("true"));
    assert_eq!(text(c, "pgflow._get_flow_shape('nope')").await.as_deref(), Some(r#"{"steps": []}"#));
}

#[tokio::test]
async fn shape_differences_are_described() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let compare = async |c: &mut PgConnection, local: &str, db: &str| {
        let sql = format!("select pgflow._compare_flow_shapes('{local}', '{db}')");
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(c).await.unwrap().get::<Vec<String>, _>(0)
    };
    assert_eq!(compare(c, SHAPE, SHAPE).await, Vec::<String>::new());
    let one = r#"{"steps": [{"slug": "x", "stepType": "map", "dependencies": ["p", "q"], "whenUnmet": "fail", "whenExhausted": "skip",
        "requiredInputPattern": {"defined": true, "value": {"k": 1}}, "forbiddenInputPattern": {"defined": true, "value": {}}}]}"#;
    let two = r#"{"steps": [{"slug": "y", "dependencies": ["r"]}, {"slug": "z"}]}"#;
    assert_eq!(
        compare(c, one, two).await,
        [
            "Step count differs: 1 vs 2",
            "Step at index 0: slug differs 'x' vs 'y'",
            "Step at index 0: type differs 'map' vs 'single'",
            "Step at index 0: dependencies differ [p, q] vs [r]",
            "Step at index 0: whenUnmet differs 'fail' vs 'skip'",
            "Step at index 0: whenExhausted differs 'skip' vs 'fail'",
            "Step at index 0: requiredInputPattern differs '{\"value\": {\"k\": 1}, \"defined\": true}' vs '{\"defined\": false}'",
            "Step at index 0: forbiddenInputPattern differs '{\"value\": {}, \"defined\": true}' vs '{\"defined\": false}'",
            "Step at index 1: missing in first shape (second has 'z')",
        ]
    );
    assert_eq!(
        compare(c, two, r#"{"steps": []}"#).await,
        [
            "Step count differs: 2 vs 0",
            "Step at index 0: missing in second shape (first has 'y')",
            "Step at index 1: missing in second shape (first has 'z')",
        ]
    );
}

#[tokio::test]
async fn ensure_flow_compiled_compiles_verifies_or_recompiles() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let other = r#"{"steps": [{"slug": "a"}]}"#;
    let differences = r#"["Step count differs: 1 vs 2", "Step at index 1: missing in first shape (second has 'm')"]"#;
    let ensure = async |c: &mut PgConnection, shape: &str, more: &str| {
        text(c, &format!("pgflow.ensure_flow_compiled('f', '{shape}'{more})")).await.unwrap()
    };
    assert_eq!(ensure(c, SHAPE, "").await, r#"{"status": "compiled", "differences": []}"#);
    assert_eq!(ensure(c, SHAPE, "").await, r#"{"status": "verified", "differences": []}"#);
    assert_eq!(ensure(c, other, "").await, format!(r#"{{"status": "mismatch", "differences": {differences}}}"#));
    assert_eq!(ensure(c, SHAPE, "").await, r#"{"status": "verified", "differences": []}"#);
    assert_eq!(
        ensure(c, other, ", true").await,
        format!(r#"{{"status": "recompiled", "differences": {differences}}}"#)
    );
    assert_eq!(ensure(c, other, "").await, r#"{"status": "verified", "differences": []}"#);

    execute(c, "set app.settings.jwt_secret = 'super-secret-jwt-token-with-at-least-32-characters-long'").await;
    assert!(ensure(c, SHAPE, "").await.starts_with(r#"{"status": "recompiled""#));
}

#[tokio::test]
async fn local_mode_is_detected_by_public_secret() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    assert_eq!(text(c, "pgflow.is_local()").await.as_deref(), Some("false"));
    for (secret, local) in
        [("", "false"), ("another", "false"), ("super-secret-jwt-token-with-at-least-32-characters-long", "true")]
    {
        execute(c, &format!("set app.settings.jwt_secret = '{secret}'")).await;
        assert_eq!(text(c, "pgflow.is_local()").await.as_deref(), Some(local), "{secret}");
    }
}

#[tokio::test]
async fn events_of_any_size_are_notified() {
    let database = with_engine().await;
    let mut listener =
        sqlx::postgres::PgListener::connect_with(&sqlx::PgPool::connect_with(database.options()).await.unwrap())
            .await
            .unwrap();
    listener.listen("pgflow_events").await.unwrap();
    let c = &mut database.connect().await;
    for (payload, expected) in [
        ("'{\"event_type\": \"x\", \"input\": 1}'", r#"{"input": 1, "event_type": "x"}"#.to_owned()),
        (
            "jsonb_build_object('event_type', 'x', 'input', repeat('i', 9000), 'output', 1)",
            r#"{"truncated": true, "event_type": "x"}"#.to_owned(),
        ),
        (
            "jsonb_build_object('event_type', 'x', 'error_message', repeat('ü', 9000))",
            format!(r#"{{"truncated": true, "event_type": "x", "error_message": "{}"}}"#, "ü".repeat(500)),
        ),
    ] {
        execute(c, &format!("select realtime.send({payload}, 'e', 'pgflow:run:1', false)")).await;
        let notification = listener.recv().await.unwrap();
        let sent = format!(r#"{{"event": "e", "topic": "pgflow:run:1", "payload": {expected}, "timestamp": ""#);
        assert!(notification.payload().starts_with(&sent), "{}", notification.payload());
    }
}

#[tokio::test]
async fn public_cannot_execute_functions() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, "create role engine_unprivileged; grant usage on schema pgflow to engine_unprivileged; set role engine_unprivileged")
        .await;
    fails(c, "select pgflow.create_flow('f')", "permission denied for function create_flow").await;
    execute(c, "reset role; drop owned by engine_unprivileged; drop role engine_unprivileged").await;
}
