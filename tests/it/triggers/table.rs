//! Triggers on tables.

use sqlx::{AssertSqlSafe, Executor};

use super::{PAID, deploy, order, runs, with_orders};
use crate::engine::definitions::{execute, text};
use crate::fixture::command::Project;

#[tokio::test]
async fn matching_changes_start_runs_of_the_current_version() {
    let (_database, project, mut c) = with_orders().await;
    order(&project, "", PAID);
    deploy(&project);
    execute(&mut c, "insert into public.orders (id, plan) values (1, 'basic'), (2, 'premium')").await;
    execute(&mut c, "insert into public.orders (id, plan, status) values (3, 'basic', 'paid')").await;
    assert_eq!(runs(&mut c).await, "order {\"plan\": \"basic\", \"order_id\": 3}");
    execute(&mut c, "update public.orders set status = 'paid' where id = 1; update public.orders set plan = 'x'").await;
    assert_eq!(text(&mut c, "(select count(*) from pgflow.runs)").await.unwrap(), "2");

    // A new version needs no other function, because the function starts the flow by its name.
    let function = "(select string_agg(p.oid::text, ' ') from pg_proc p where p.pronamespace = 'flowsmith_triggers'::regnamespace)";
    let before = text(&mut c, function).await.unwrap();
    order(&project, "version: 2", PAID);
    deploy(&project);
    assert_eq!(text(&mut c, function).await.unwrap(), before);
    execute(&mut c, "update public.orders set status = 'paid' where id = 2").await;
    assert!(runs(&mut c).await.ends_with("order_v2 {\"plan\": \"x\", \"order_id\": 2}"));

    // Retiring the flow removes the trigger.
    std::fs::remove_file(project.path("flows/order.yaml")).unwrap();
    deploy(&project);
    assert_eq!(text(&mut c, function).await, None);
    assert_eq!(text(&mut c, "(select count(*) from flowsmith.triggers)").await.unwrap(), "0");
    execute(&mut c, "insert into public.orders (id, status) values (4, 'paid')").await;
    assert_eq!(text(&mut c, "(select count(*) from pgflow.runs)").await.unwrap(), "3");
    project.succeeds(&["drift"]);
}

#[tokio::test]
async fn insert_update_delete_and_truncate_start_runs() {
    let (_database, project, mut c) = with_orders().await;
    let triggers = "  - { name: any, table: orders, on: [delete, insert, update], input_sql: \"jsonb_build_array(tg_op, old.id, new.id)\" }
  - { name: fixed, table: public.orders, on: [delete], input: [1, \"it's\"] }";
    order(&project, "", triggers);
    let output = deploy(&project);
    assert!(!output.contains("pg_cron"), "{output}");
    execute(&mut c, "insert into orders (id) values (1); update orders set id = 2; delete from orders").await;
    assert_eq!(
        runs(&mut c).await,
        "order [\"DELETE\", 2, null]\norder [\"INSERT\", null, 1]\norder [\"UPDATE\", 1, 2]\norder [1, \"it's\"]"
    );
}

#[tokio::test]
async fn failed_start_fails_the_statement_only_if_strict() {
    let (_database, project, mut c) = with_orders().await;
    let trigger = |strict: bool| {
        format!(
            "  - {{ name: broken, table: public.orders, input_sql: \"to_jsonb(1 / (new.id - 1))\", strict: {strict} }}"
        )
    };
    order(&project, "", &trigger(false));
    deploy(&project);
    execute(&mut c, "insert into public.orders (id) values (1), (2)").await;
    assert_eq!(runs(&mut c).await, "order 1");
    assert_eq!(text(&mut c, "(select count(*) from public.orders)").await.unwrap(), "2");
    let recorded = "(select string_agg(detail::text, ' ') from flowsmith.events where kind = 'trigger-failed')";
    assert_eq!(
        text(&mut c, recorded).await.unwrap(),
        "{\"flow\": \"order\", \"error\": \"division by zero\", \"table\": \"public.orders\", \"trigger\": \"broken\", \"sqlstate\": \"22012\"}"
    );
    // The same holds without the schema flowsmith.
    execute(&mut c, "drop schema flowsmith cascade; insert into public.orders (id) values (3)").await;

    let (_database, project, mut c) = with_orders().await;
    order(&project, "", &trigger(true));
    project.compile();
    let plan = project.exits_with(2, &["plan"]);
    assert!(
        plan.contains("strict: if broken cannot start a run, the statement that changes the table fails"),
        "{plan}"
    );
    assert!(plan.contains("writers to public.orders wait"), "{plan}");
    project.succeeds(&["apply"]);
    let error = c.execute("insert into public.orders (id) values (1)").await.unwrap_err();
    assert!(error.to_string().contains("division by zero"), "{error}");
    execute(&mut c, "insert into public.orders (id) values (2)").await;
    assert_eq!(runs(&mut c).await, "order 1");
}

#[tokio::test]
async fn invalid_triggers_are_refused_as_a_whole() {
    let (_database, project, mut c) = with_orders().await;
    execute(&mut c, "create view public.open_orders as select * from public.orders").await;
    let wrong = [
        ("{ name: t, table: public.nowhere }", "table public.nowhere does not exist"),
        ("{ name: t, table: public.open_orders }", "public.open_orders cannot have a row trigger"),
        ("{ name: t, table: public.orders, when: new.state = 1 }", "`when` fails: column new.state does not exist"),
        (
            "{ name: t, table: public.orders, when: new.plan < 1 }",
            "`when` fails: operator does not exist: text < integer",
        ),
        ("{ name: t, table: public.orders, when: \"new.id = = 1\" }", "`when` fails: syntax error"),
        ("{ name: t, table: public.orders, input_sql: new.id }", "`input_sql` fails: cannot cast"),
        (
            "{ name: t, table: public.orders, input_sql: shop.load(new.id) }",
            "`input_sql` fails: schema \"shop\" does not exist",
        ),
        (
            "{ name: t, queue: \"pgmq:q\", input_sql: event.payload }",
            "`input_sql` fails: column event.payload does not exist",
        ),
    ];
    for (trigger, words) in wrong {
        order(&project, "", &format!("  - {trigger}"));
        project.compile();
        // Only `apply` tries expressions.
        if words.contains("` fails: ") {
            project.exits_with(2, &["plan"]);
        } else {
            let plan = project.exits_with(5, &["plan"]);
            assert!(plan.contains("refused: trigger t: ") && plan.contains(words), "{words}: {plan}");
        }
        let output = project.exits_with(5, &["apply"]);
        assert!(output.contains("FS996") && output.contains(words), "{words}: {output}");
        assert_eq!(text(&mut c, "(select count(*) from pgflow.flows)").await.unwrap(), "0");
        std::fs::remove_dir_all(project.path("migrations")).unwrap();
    }
    order(&project, "", "  - { name: t, table: pg_catalog.pg_class }");
    assert!(project.exits_with(5, &["plan"]).contains("pg_catalog.pg_class cannot have a row trigger"));
    // The plan reports the invalid trigger and continues with the valid one.
    order(&project, "", &format!("{PAID}\n  - {{ name: t, queue: \"pgmq:q\", input_sql: event.data }}"));
    project.exits_with(2, &["plan"]);
    deploy(&project);
    project.succeeds(&["plan"]);
}

#[tokio::test]
async fn hostile_names_and_texts_are_quoted() {
    let (_database, project, mut c) = with_orders().await;
    let table = r#""it's; $$ x"."Table %s \ $body$""#;
    execute(
        &mut c,
        &format!(
            r#"create schema "it's; $$ x"; create table {table} ("od'd;)" text);
               create table public.sentinel as select 1 as alive"#
        ),
    )
    .await;
    let hostile = r"'; drop table public.sentinel; -- $body$ $$ \ %s";
    let flow = serde_json::json!({
        "flow": "a".repeat(47),
        "steps": { "load": {} },
        "triggers": [{
            "name": "b".repeat(47),
            "table": table,
            "when": format!(r#"new."od'd;)" = '{}' -- the rest )"#, hostile.replace('\'', "''")),
            "input_sql": r#"/* ( */ jsonb_build_object('text', new."od'd;)")"#,
        }, { "name": "c".repeat(47), "table": table, "input": { "text": hostile } }],
    });
    project.write("flows/hostile.yaml", &flow.to_string());
    deploy(&project);
    project.succeeds(&["drift"]);
    let insert = format!("insert into {table} values ($1)");
    sqlx::query(AssertSqlSafe(insert)).bind(hostile).execute(&mut c).await.unwrap();
    let both =
        format!("(select count(*) from pgflow.runs r where r.input ->> 'text' = '{}')", hostile.replace('\'', "''"));
    assert_eq!(text(&mut c, &both).await.unwrap(), "2");
    assert_eq!(text(&mut c, "(select alive from public.sentinel)").await.unwrap(), "1");
    // The names exceed the limit of PostgreSQL and still differ.
    let names = "(select string_agg(length(tgname)::text, ' ') from pg_trigger where tgname like 'flowsmith:%')";
    assert_eq!(text(&mut c, names).await.unwrap(), "63 63");
}

#[tokio::test]
async fn drift_of_table_triggers_is_detected_and_reverted() {
    let function = "flowsmith_triggers.\"flowsmith:order:paid\"";
    let body = "returns trigger language plpgsql security definer
        set search_path = pg_catalog, pg_temp set standard_conforming_strings = on as 'begin return null; end'";
    let kinds = [
        (
            "drop trigger \"flowsmith:order:paid\" on public.orders".to_owned(),
            "its trigger on public.orders is missing",
        ),
        ("alter table public.orders disable trigger all".to_owned(), "its trigger on public.orders is disabled"),
        (
            "alter table public.orders enable always trigger \"flowsmith:order:paid\"".to_owned(),
            "its trigger on public.orders also fires for replicated changes (`enable always`)",
        ),
        (
            "alter table public.orders enable replica trigger \"flowsmith:order:paid\"".to_owned(),
            "its trigger on public.orders fires for replicated changes only (`enable replica`)",
        ),
        (format!("drop function {function}() cascade"), "its trigger on public.orders is missing"),
        (format!("create or replace function {function}() {body}"), "its function was modified manually"),
        (format!("alter function {function}() security invoker"), "its function was modified manually"),
        (format!("alter function {function}() reset search_path"), "its function was modified manually"),
        (
            format!("create or replace trigger \"flowsmith:order:paid\" after delete on public.orders for each row execute function {function}('order', 'paid')"),
            "its trigger on public.orders was modified manually",
        ),
        ("delete from flowsmith.triggers".to_owned(), "is not registered"),
        (
            "update flowsmith.triggers set definition = jsonb_set(definition, '{source,table,strict}', 'true')".to_owned(),
            "is registered with another definition",
        ),
        (
            "alter table public.orders rename to old_orders; create table public.orders (like public.old_orders including all)".to_owned(),
            "its trigger on public.orders is missing",
        ),
    ];
    for (sql, words) in kinds {
        let (_database, project, mut c) = with_orders().await;
        order(&project, "", PAID);
        deploy(&project);
        execute(&mut c, &sql).await;
        let output = project.exits_with(3, &["drift"]);
        assert!(output.contains(&format!("order: trigger paid: {words}")), "{sql}: {output}");
        assert!(project.exits_with(3, &["drift", "--format", "json"]).contains("\"trigger\": \"paid\""));
        assert!(project.exits_with(3, &["drift", "--format", "markdown"]).contains(words));
        assert!(project.exits_with(3, &["apply"]).contains("FS914"));
        for format in ["text", "markdown", "html"] {
            let plan = project.exits_with(3, &["plan", "--format", format]);
            assert!(plan.contains("the database has drifted") && !plan.contains("matches the flow files."), "{plan}");
        }
        let compiled = project.succeeds(&["compile", "--from-live"]);
        assert!(compiled.stdout.contains("triggers recreated"), "{compiled}");
        project.succeeds(&["apply", "--accept-drift"]);
        project.succeeds(&["drift"]);
        execute(&mut c, "insert into public.orders (id, status) values (1, 'paid')").await;
        assert_eq!(text(&mut c, "(select count(*) from pgflow.runs)").await.unwrap(), "1", "{sql}");
    }
}

#[tokio::test]
async fn missing_partition_trigger_and_foreign_function_owner_are_drift() {
    let (database, project, mut c) = with_orders().await;
    let parts = "create table public.parts (id int) partition by range (id);
        create table public.half partition of public.parts for values from (0) to (10) partition by range (id);
        create table public.quarter partition of public.half for values from (0) to (5)";
    execute(&mut c, parts).await;
    order(&project, "", "  - { name: part, table: public.parts }");
    deploy(&project);
    project.succeeds(&["drift"]);
    let bob = format!("bob_{}", database.options().get_database().unwrap());
    execute(&mut c, &format!("create role {bob}; grant create on schema flowsmith_triggers to {bob}")).await;
    // A new grant does not change the trigger.
    project.succeeds(&["drift"]);
    execute(&mut c, &format!("revoke create on schema flowsmith_triggers from {bob}")).await;
    for (sql, words) in [
        (
            "alter table public.quarter disable trigger \"flowsmith:order:part\"".to_owned(),
            "its trigger on public.quarter is disabled".to_owned(),
        ),
        (
            format!("alter function flowsmith_triggers.\"flowsmith:order:part\"() owner to {bob}"),
            format!("its function is owned by {bob} instead of postgres"),
        ),
    ] {
        execute(&mut c, &sql).await;
        let output = project.exits_with(3, &["drift"]);
        assert!(output.contains(&format!("order: trigger part: {words}")), "{sql}: {output}");
        project.succeeds(&["compile", "--from-live"]);
        project.succeeds(&["apply", "--accept-drift"]);
        project.succeeds(&["drift"]);
        execute(&mut c, "insert into public.parts values (1)").await;
    }
    assert_eq!(text(&mut c, "(select count(*) from pgflow.runs)").await.unwrap(), "2");
    execute(&mut c, &format!("drop owned by {bob}; drop role {bob}")).await;
}

#[tokio::test]
async fn foreign_trigger_that_calls_our_function_is_named_by_the_function() {
    let (_database, project, mut c) = with_orders().await;
    order(&project, "", PAID);
    deploy(&project);
    let sql = "create table public.a (id int); create trigger mine after insert on public.a
        for each row execute function flowsmith_triggers.\"flowsmith:order:paid\"()";
    execute(&mut c, sql).await;
    let output = project.exits_with(3, &["drift"]);
    assert!(output.contains("order: trigger paid: public.a has an unexpected trigger mine"), "{output}");
    project.succeeds(&["compile", "--from-live"]);
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
}

#[tokio::test]
async fn undeclared_trigger_is_drift_and_does_not_block_apply() {
    let (_database, project, mut c) = with_orders().await;
    order(&project, "", PAID);
    deploy(&project);
    execute(
        &mut c,
        "create trigger second after delete on public.orders
         for each row execute function flowsmith_triggers.\"flowsmith:order:paid\"('order', 'more')",
    )
    .await;
    let output = project.exits_with(3, &["drift"]);
    assert!(output.contains("order: trigger more: public.orders has an unexpected trigger second"), "{output}");
    project.flow("another", "", "  a: {}");
    deploy(&project);
    project.succeeds(&["compile", "--from-live"]);
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
}

#[tokio::test]
async fn pull_writes_recorded_triggers_to_the_files() {
    let (database, project, mut c) = with_orders().await;
    let others = "  - { name: nightly, cron: \"@daily\", description: \"at night: #1\", input: { a: [1.5, null] } }
  - { name: mails, queue: \"pgmq:mails\", input_sql: \"event.data -> 'x'\" }
  - { name: gone, table: public.orders, on: [delete, update], strict: true }";
    order(&project, "", &format!("{PAID}\n{others}"));
    deploy(&project);
    let other = Project::on(&database);
    std::fs::create_dir(other.path("migrations")).unwrap();
    for name in project.migrations().into_iter().chain(["flowsmith.sum".to_owned()]) {
        std::fs::copy(project.path("migrations").join(&name), other.path("migrations").join(&name)).unwrap();
    }
    other.succeeds(&["pull"]);
    other.succeeds(&["compile", "--check"]);
    other.succeeds(&["plan"]);
    other.succeeds(&["drift"]);
    assert!(other.read("flows/order.yaml").contains("queue: \"pgmq:mails\""));
    assert_eq!(text(&mut c, "(select count(*) from flowsmith.triggers)").await.unwrap(), "4");
}

#[tokio::test]
async fn official_engine_supports_triggers() {
    let database = crate::fixture::command::official_engine().await;
    let project = Project::on(&database);
    let mut c = database.connect().await;
    execute(&mut c, super::ORDERS).await;
    order(&project, "", &format!("{PAID}\n  - {{ name: nightly, cron: \"@daily\", input: [1] }}"));
    deploy(&project);
    project.succeeds(&["drift"]);
    execute(&mut c, "insert into public.orders (id, status) values (1, 'paid')").await;
    execute(&mut c, "select flowsmith.fire_schedule('order', 'nightly')").await;
    assert_eq!(runs(&mut c).await, "order [1]\norder {\"plan\": null, \"order_id\": 1}");
}

#[tokio::test]
async fn deleted_flow_takes_its_triggers_along() {
    let (_database, project, mut c) = with_orders().await;
    order(&project, "", PAID);
    deploy(&project);
    std::fs::remove_file(project.path("flows/order.yaml")).unwrap();
    project.succeeds(&["compile", "--delete", "order@1"]);
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
    let left = "(select count(*) from pg_proc where pronamespace = 'flowsmith_triggers'::regnamespace)";
    assert_eq!(text(&mut c, left).await.unwrap(), "0");
    assert_eq!(text(&mut c, "(select count(*) from flowsmith.triggers)").await.unwrap(), "0");
}
